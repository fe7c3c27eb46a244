package adtest

import (
	"crypto/x509"
	"strings"
)

// settings is the name of the controller's own object in the configuration (MS-ADTS 6.1.1.2.2.1.2.1.1).
func (o Options) settings(base string) string {
	if o.Host == "dc1" && o.Site == "" {
		return settingsOf(base)
	}
	site := o.Site
	if site == "" {
		site = "Default-First-Site-Name"
	}
	return "CN=NTDS Settings,CN=" + strings.ToUpper(o.Host) + ",CN=Servers,CN=" + site + ",CN=Sites,CN=Configuration," + base
}

// ShownCertificate returns the certificate the controller shows.
func (s *Server) ShownCertificate() *x509.Certificate {
	certificate, err := x509.ParseCertificate(s.secured.Certificates[0].Certificate[0])
	if err != nil {
		return nil // it was made a moment ago
	}
	return certificate
}
