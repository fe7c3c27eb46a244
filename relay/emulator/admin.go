package emulator

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/atom"
)

// Paths of the management interface that are no queue's.
const (
	pathQueues    = "$resources/queues"
	pathNamespace = "$namespaceinfo"
)

// tier is what the namespace says it is; the limits of the emulator are closest to it.
const tier = "Premium"

// ManagementHandler serves the management REST interface of the namespace: creating, reading, changing, deleting and
// listing queues, as azservicebus/admin.Client asks for. Clients always speak https to it, so it belongs behind TLS.
//
// What is asked needs the Manage right, for the namespace or for the queue in question: signed with a key that has it, or
// with the bearer token of somebody who has it.
func (s *Server) ManagementHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &adminRequest{Server: s, Request: r, path: strings.Trim(r.URL.Path, "/")}
		answer, err := a.answer()
		if err != nil {
			answer = a.refusal(err)
		}
		if len(answer.body) > 0 {
			w.Header().Set("Content-Type", answer.kind)
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body) // nobody is left to tell
	})
}

// adminRequest is one request to the management interface.
type adminRequest struct {
	*Server
	*http.Request
	path   string // in the case the client wrote it
	rights access.Rights
}

// document is an answer.
type document struct {
	status int
	kind   string
	body   []byte
}

// Content types of answers.
const (
	kindEntry = "application/atom+xml;type=entry;charset=utf-8"
	kindFeed  = "application/atom+xml;type=feed;charset=utf-8"
	kindError = "application/xml; charset=utf-8"
)

// adminError is a refusal with its status.
type adminError struct {
	status int
	detail string
}

func (e *adminError) Error() string { return e.detail }

func refuse(status int, detail string) *adminError { return &adminError{status, detail} }

// answer finds out what is asked and does it.
func (a *adminRequest) answer() (document, error) {
	claim, err := a.authenticate(a.Header.Get("Authorization"), a.resource())
	if err != nil {
		return document{}, err
	}
	a.rights = claim.Rights
	switch key := strings.ToLower(a.path); {
	case key == pathQueues && a.Method == http.MethodGet:
		return a.list()
	case key == pathNamespace && a.Method == http.MethodGet:
		return a.namespace()
	case key == "" || strings.Contains(key, "$"):
		return document{}, refuse(http.StatusNotImplemented, "The emulator does not have this.")
	}
	switch a.Method {
	case http.MethodGet:
		return a.get()
	case http.MethodPut:
		return a.put()
	case http.MethodDelete:
		return a.delete()
	}
	return document{}, refuse(http.StatusMethodNotAllowed, "The method is not allowed here.")
}

// resource is what the token must be for: the address without its query.
func (a *adminRequest) resource() string { return "https://" + a.Host + a.URL.EscapedPath() }

// authenticate verifies the token of a request.
func (s *Server) authenticate(token, resource string) (access.Claim, error) {
	if token == "" {
		return access.Claim{}, refuse(http.StatusUnauthorized, "MissingToken: The authorization header was not found.")
	}
	if len(s.cfg.Issuers) > 0 && !access.LooksLikeSAS(token) {
		return s.verify(tokenTypeJWT, strings.TrimPrefix(token, "Bearer "), resource) // the Go client sends it bare
	}
	return s.verify(tokenTypeSAS, token, resource)
}

// must refuses what needs the Manage right unless the token gives it. The service has two ways to put it.
func (a *adminRequest) must(refusal string) error {
	if a.rights.Include(access.Manage) {
		return nil
	}
	return refuse(http.StatusUnauthorized, refusal)
}

const (
	mayNotRead   = "Manage,EntityRead claims required for this operation."
	mayNotWrite  = "Authorization failed for specified action: Manage,EntityWrite."
	mayNotDelete = "Authorization failed for specified action: Manage,EntityDelete."
)

// refusal is the document for an error, with what support would ask for.
func (a *adminRequest) refusal(err error) document {
	var denied *access.Denied
	var refused *adminError
	status := http.StatusInternalServerError
	switch {
	case errors.As(err, &refused):
		status = refused.status
	case errors.As(err, &denied):
		status = denied.Status
	case errors.Is(err, atom.ErrMalformed):
		status = http.StatusBadRequest
	default:
		a.log.WithError(err).WithField("path", a.path).Error("management request failed")
	}
	detail := strings.TrimSuffix(err.Error(), ".") + ". TrackingId:" + uuid.NewString() +
		", SystemTracker:" + a.Host + ":" + a.path + ", Timestamp:" + a.cfg.Now().UTC().Format("2006-01-02T15:04:05")
	return document{status, kindError, atom.EncodeError(status, detail)}
}

// list is a page of the queues, by name.
func (a *adminRequest) list() (document, error) {
	if err := a.must(mayNotRead); err != nil {
		return document{}, err
	}
	const mostPerPage = 100
	skip, err := a.number("$skip", 0)
	if err != nil {
		return document{}, err
	}
	top, err := a.number("$top", mostPerPage)
	if err != nil {
		return document{}, err
	}
	all := a.queues.all()
	rest := all[min(skip, len(all)):]
	page := rest[:min(top, mostPerPage, len(rest))]
	feed := atom.Feed{ID: a.address(pathQueues), Title: "Queues", Updated: a.cfg.Now()}
	if 0 < len(page) && len(page) < len(rest) {
		query := a.URL.Query()
		query.Set("$skip", strconv.Itoa(skip+len(page)))
		feed.Next = "https://" + a.Host + "/" + pathQueues + "?" + query.Encode()
	}
	for _, e := range page {
		feed.Entries = append(feed.Entries, a.entry(e))
	}
	return encoded(http.StatusOK, kindFeed, feed.Encode)
}

// number is a parameter of the query.
func (a *adminRequest) number(name string, otherwise int) (int, error) {
	text := a.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, refuse(http.StatusBadRequest, "The value of "+name+" is no number that can be used here.")
	}
	return int(n), nil
}

func (a *adminRequest) namespace() (document, error) {
	if err := a.must(mayNotRead); err != nil {
		return document{}, err
	}
	e := atom.Entry{ID: a.address(pathNamespace), Title: a.hostname(), Author: a.hostname(), Published: a.started, Updated: a.started}
	return encoded(http.StatusOK, kindEntry, func() ([]byte, error) { return atom.EncodeNamespace(e, tier) })
}

// address is where something of the namespace is found.
func (a *adminRequest) address(path string) string {
	address := "https://" + a.Host + "/" + path
	if version := a.URL.Query().Get("api-version"); version != "" {
		address += "?api-version=" + version
	}
	return address
}

// hostname is the name of the namespace: the first label of its host.
func (a *adminRequest) hostname() string {
	name, _, _ := strings.Cut(a.Host, ".")
	name, _, _ = strings.Cut(name, ":")
	return name
}

func encoded(status int, kind string, encode func() ([]byte, error)) (document, error) {
	body, err := encode()
	return document{status, kind, body}, err
}
