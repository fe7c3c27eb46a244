package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/envelope"
)

// ServeOptions are the choices of whoever plays with a lab.
type ServeOptions struct {
	QueueAddr     string // host:port on loopback; port 0 takes a free one
	DirectoryAddr string // likewise
	// Folder for the configuration, keys and secrets; it must be empty or missing. Empty: a new one that goes away with the lab.
	Folder string
	// Programs is the folder of writeback-agent and writeback-send, for the commands that are shown; empty: they are on the PATH.
	Programs string
	// Trouble is what the queues do wrong.
	Trouble Trouble
	// Trace gets a line for each frame between the queues and their clients; nil: none.
	Trace  io.Writer
	Style  Style
	Stdout io.Writer
	Log    logrus.FieldLogger
}

// Serve runs the queues and the directory until ctx ends, and tells how to run an agent and a sender against them.
func Serve(ctx context.Context, options ServeOptions) (err error) {
	if err := errors.Join(onLoopback("queue", options.QueueAddr), onLoopback("directory", options.DirectoryAddr)); err != nil {
		return err
	}
	folder, remove, err := options.makeFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s, site, err := options.open(ctx, folder)
	defer func() { err = errors.Join(err, s.close()) }()
	if err != nil {
		return err
	}
	troubles, err := s.namespace.Trouble(options.Trouble)
	if err != nil {
		return err
	}
	show := &screen{out: options.Stdout, style: options.Style}
	show.warn(options.Trouble)
	show.guide(s, site, options.program)
	<-ctx.Done()
	show.hits(troubles.Counts())
	show.printf("\nStopped.\n")
	return show.err
}

// program is how to call one of the other programs.
func (o ServeOptions) program(name string) string {
	path := filepath.Join(o.Programs, name)
	if _, err := exec.LookPath(path); o.Programs == "" || err != nil {
		return name
	}
	return shellWord(path)
}

// onLoopback refuses addresses others could reach: the queues speak without TLS.
func onLoopback(what, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("the %s address %q is not host:port", what, addr)
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("the %s address %q is not on loopback: a lab is for one machine", what, addr)
}

// makeFolder returns an empty folder of its owner only, and what removes it.
func (o ServeOptions) makeFolder() (folder string, remove func() error, err error) {
	if o.Folder == "" {
		folder, err = os.MkdirTemp("", "writeback-lab-")
		return folder, func() error { return os.RemoveAll(folder) }, err
	}
	folder, err = filepath.Abs(o.Folder)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("the folder %s is not empty: name another one, or remove what an earlier lab left there", folder)
	}
	return folder, func() error { return nil }, err
}

// open starts both servers and writes the folder, the agent's keys included: they are made here so that the portal can
// have their public halves before the agent runs for the first time.
func (o ServeOptions) open(ctx context.Context, folder string) (s *stage, site *Site, err error) {
	s = &stage{}
	if s.namespace, err = OpenNamespace(ctx, o.QueueAddr, o.Log, func(c *emulator.Config) { c.Trace = o.Trace }); err != nil {
		return s, nil, err
	}
	if s.directory, err = OpenDirectory(o.DirectoryAddr); err != nil {
		return s, nil, err
	}
	if site, err = NewSite(folder, s.namespace, s.directory.Domain()); err != nil {
		return s, nil, err
	}
	return s, site, site.MakeKeys()
}

// MakeKeys makes an agent's keys without its program, and hands their public halves to the portal.
func (s *Site) MakeKeys() error {
	store, err := envelope.OpenKeyStore(s.path(agentKeysDirectory))
	if err != nil {
		return err
	}
	for _, use := range []envelope.Use{envelope.UseSeal, envelope.UseSign} {
		if _, err := store.Generate(use); err != nil {
			return err
		}
	}
	set, err := store.PublicSet(Group + "/" + AgentName)
	if err != nil {
		return err
	}
	return s.write(agentKeysFile, set)
}

// guide tells a newcomer what to type.
func (s *screen) guide(lab *stage, site *Site, program func(name string) string) {
	s.title("A lab is running. It keeps everything in memory; Ctrl-C ends it.")
	s.table([][2]string{
		{"queues", "amqp://" + lab.namespace.Addr() + " (" + RequestsQueue + ", " + ResultsQueue + ")"},
		{"directory", "ldaps://" + lab.directory.Addr() + " (" + domainName + ")"},
		{"folder", site.Folder},
		{"  for the agent", configFile + ", " + relaySecretFile + ", " + bindSecretFile + ", " + authorityFile + ", " + agentKeysDirectory},
		{"  for the portal", strings.Join([]string{profileFile, portalRelayFile, portalKeyFile, agentKeysFile}, ", ")},
	})
	s.title("In a second terminal, run the agent")
	s.printf("  %s run --config %s\n", program("writeback-agent"), shellWord(site.ConfigPath()))
	s.title("In a third one, be the portal")
	for _, command := range []string{"ping", "reset --upn " + upn(ada), "unlock --upn " + upn(finn)} {
		s.printf("  %s %s --profile %s\n", program("writeback-send"), command, shellWord(site.path(profileFile)))
	}
	s.title("And ask the agent how it is")
	s.printf("  %s status --config %s\n", program("writeback-agent"), shellWord(site.ConfigPath()))
	s.title("People to try it with (all at " + domainName + ")")
	s.table([][2]string{
		{strings.Join([]string{ada, ben, chloe, dana, emil}, ", "), fmt.Sprintf("may be reset: at least %d characters of three kinds, none of the last 24 passwords", minLength)},
		{finn, "is locked out"},
		{ida, "is a domain administrator, and protected"},
		{jan, "is outside of the agent's scope"},
		{nadia, "does not exist, which looks just the same"},
	})
}

// table writes pairs in two columns.
func (s *screen) table(rows [][2]string) {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	for _, row := range rows {
		s.printf("  %s%s\n", pad(row[0], width+2), row[1])
	}
}

// shellWord quotes a path for a POSIX shell where it needs that.
func shellWord(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`/\:._-`, r)
	}
	if !strings.ContainsFunc(path, func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
