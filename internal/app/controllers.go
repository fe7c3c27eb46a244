package app

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// certificateWarning is how long before a controller's certificate ends somebody is told.
const certificateWarning = 30 * 24 * time.Hour

// asControllers is what status shows of a domain's controllers.
func asControllers(all []ldapwriter.ControllerStatus) []status.Controller {
	var shown []status.Controller
	for _, c := range all {
		shown = append(shown, status.Controller{
			Address: c.Address, State: stateOfController(c), Preferred: c.Preferred, PDC: c.PDC, Site: c.Site,
			Milliseconds:       float64(c.Latency.Microseconds()) / 1000,
			CertificateExpires: c.CertificateExpires.UTC(), LastError: c.LastError,
		})
	}
	return shown
}

func stateOfController(c ldapwriter.ControllerStatus) status.ControllerState {
	switch {
	case c.Unfit || c.Refused:
		return status.ControllerRefused
	case c.LastError != "":
		return status.ControllerAway
	case c.LastAnswer.IsZero():
		return status.ControllerUnasked
	case c.InUse:
		return status.ControllerInUse
	case c.Settling:
		return status.ControllerSettling
	}
	return status.ControllerReady
}

// advise adds to a domain that is served what will end that, or is not as it should be.
func (s *domainState) advise(controllers []ldapwriter.ControllerStatus, now time.Time) {
	for _, c := range controllers {
		if left := c.CertificateExpires.Sub(now); !c.CertificateExpires.IsZero() && left < certificateWarning && !c.Unfit {
			s.degrade(
				fmt.Sprintf("the certificate of %s ends on %s", c.Address, c.CertificateExpires.UTC().Format(time.DateOnly)),
				"Renew the controller's certificate, and its pin where it has one, before it ends: then the controller is refused.")
		}
		if !c.Preferred {
			continue
		}
		switch {
		case !c.InUse && !c.Unfit && s.Controller != "":
			s.degrade(fmt.Sprintf("the preferred controller %s is not in use, %s stands in", c.Address, s.Controller),
				"See whether the preferred controller is up and reachable; it is used again when it answers for a while.")
		case c.PDCKnown && !c.PDC && s.Health == health.OK:
			// Advice, not a fault: where the agent is alone, another writer may be meant.
			s.Message = "the preferred controller " + c.Address + " is not the PDC emulator: agents that prefer different controllers are blind to each other's writes until replication"
		}
	}
}

// unlisted judges a domain whose controllers DNS does not name, or no longer.
func (s *domainState) unlisted(err error) {
	remedy := "Check the DNS servers and the records _ldap._tcp.dc._msdcs." + s.Name + ", or list the controllers."
	if s.Controller != "" {
		s.degrade("the controllers cannot be looked up in DNS; those known are used on", remedy)
		return
	}
	s.asked, s.remedy = true, remedy
	s.Message = "DNS names no controller: " + rootCause(err)
}

// rootCause leaves the reason out: a condition is no answer to a request.
func rootCause(err error) string {
	var typed *writeback.Error
	if errors.As(err, &typed) && typed.Cause != nil {
		err = typed.Cause
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// degrade adds a message and its remedy; what was worse stays worse.
func (s *domainState) degrade(message, remedy string) {
	if s.Health == health.OK {
		s.Health, s.Message, s.remedy = health.Degraded, message, remedy
		return
	}
	s.Message += "; " + message
	s.remedy += " " + remedy
}
