package sambalab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// driver stands in for test/samba/pair.sh: it announces two controllers, notes its orders, and ends with its input.
const driver = `#!/bin/sh
[ "$*" = "serve root domain" ] || exit 1
for dc in DC1 DC2; do
	for name in ADDR HOST CA BASE_DN REALM KRB5_CONFIG SERVICE_USER; do echo "${dc}_$name=$dc-$name"; done
	echo "${dc}_SERVICE_PASSWORD_FILE=$FILE"
	echo "${dc}_USER_PASSWORD_FILE=$FILE"
done
echo ready
while read -r order; do echo "$order" >>"$ORDERS"; echo ok; done
echo ended >>"$ORDERS"
`

func TestPairObeysOrders(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("needs a shell")
	}
	folder := t.TempDir()
	script, orders := filepath.Join(folder, "driver"), filepath.Join(folder, "orders")
	for name, content := range map[string]string{"driver": driver, "password": "Initial"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"FILE": filepath.Join(folder, "password"), "ORDERS": orders, "WRITEBACK_SAMBA_PAIR_LEFT_OUT": "",
		"WRITEBACK_SAMBA_PAIR": script, "WRITEBACK_SAMBA_PAIR_ROOT": "root", "WRITEBACK_SAMBA_PAIR_DOMAIN": "domain",
	} {
		t.Setenv(name, value)
	}
	t.Run("orders", func(t *testing.T) {
		pair := StartPair(t)
		if pair.DC1.Addr != "DC1-ADDR" || pair.DC2.Host != "DC2-HOST" || pair.DC2.UserPassword.Empty() {
			t.Errorf("controllers %q and %q", pair.DC1.Addr, pair.DC2.Host)
		}
		pair.Kill(t, "dc1")
		pair.Start(t, "dc1")
		pair.Stop(t, "dc2")
		pair.Continue(t, "dc2")
	})
	noted, err := os.ReadFile(orders)
	if want := "kill dc1\nstart dc1\nstop dc2\ncontinue dc2\nended\n"; err != nil || string(noted) != want {
		t.Errorf("orders %q (%v), want %q", noted, err, want)
	}
}

func TestPairSaysWhyThereIsNone(t *testing.T) {
	getenv := lookup(map[string]string{"WRITEBACK_SAMBA_PAIR_LEFT_OUT": "no network"})
	if reason := absent(getenv, "WRITEBACK_SAMBA_PAIR", "WRITEBACK_SAMBA_PAIR"); !strings.Contains(reason, "no network") {
		t.Errorf("reason %q", reason)
	}
	if reason := absent(lookup(nil), "WRITEBACK_SAMBA_PAIR", "WRITEBACK_SAMBA_PAIR"); !strings.Contains(reason, "not running") {
		t.Errorf("reason %q", reason)
	}
}
