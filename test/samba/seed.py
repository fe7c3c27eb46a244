#!/usr/bin/python3
"""Seeds the lab's domain: policy, delegation, and the people the tests reset. Runs inside the root, on the local database.

samba-tool's commands are called in this process: the same code as on the command line at a tenth of the time.
Everybody's password is read from /lab/etc. README.md in this folder describes the result.
"""
import os
import struct
import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack

try:
    from samba.netcmd.main import samba_tool
except ImportError:  # Samba 4.17
    from samba.netcmd.main import cmd_sambatool

    def samba_tool(*arguments):
        return cmd_sambatool()._run("samba-tool", *arguments)

from samba.param import LoadParm
from samba.samdb import SamDB

CONFIG = "/lab/etc/smb.conf"
PARALLEL = 12  # accounts per test package, so that packages running at the same time do not reset one another's
BULK = 20
# Of the demonstration (internal/lab/people.go); finn is locked, ida a Domain Admin, jan outside.
DEMONSTRATION = ("ada", "ben", "chloe", "dana", "emil", "finn", "gina", "hugo", "ida", "kira", "liam", "mona", "nils")

# controlAccessRight and attribute GUIDs from the AD schema ([MS-ADTS] 5.1.3.2.1, [MS-ADA1], [MS-ADA3])
RESET_PASSWORD = "00299570-246d-11d0-a768-00aa006e0529"
CHANGE_PASSWORD = "ab721a53-1e2f-11d0-9819-00aa0040529b"
LOCKOUT_TIME = "28630ebf-41d5-11d1-a9c1-0000f80367c1"
PWD_LAST_SET = "bf967a0a-0de6-11d0-a285-00aa003049e2"
USER_CLASS = "bf967aba-0de6-11d0-a285-00aa003049e2"

# userAccountControl ([MS-ADTS] 2.2.16)
NORMAL, DISABLED, NEVER_EXPIRES, SMARTCARD = 512, 2, 0x10000, 0x40000

parameters = LoadParm()
parameters.load(CONFIG)
sam = SamDB(url=parameters.get("private dir") + "/sam.ldb", session_info=system_session(), lp=parameters)
base = str(sam.domain_dn())
realm = parameters.get("realm").lower()
STAFF = "OU=Staff," + base


def secret(name):
    with open("/lab/etc/" + name, encoding="utf-8") as f:
        return f.read()


def tool(*arguments):
    """Runs a samba-tool command; its output goes to the log (it keeps the streams it was imported with)."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    with open("/lab/log/seed.log", "a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            code = samba_tool(*arguments, "--configfile=" + CONFIG)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
    if code:
        sys.exit("samba-tool " + " ".join(arguments[:3]) + " failed")


def add(login, name=None, ou=STAFF, **attributes):
    """Adds a person. The name is set by component: samba-tool would not escape a comma in it."""
    dn = ldb.Dn(sam, "CN=X," + ou)
    dn.set_component(0, "CN", name or login)
    person = {
        "dn": dn,
        "objectClass": "user",
        "sAMAccountName": login,
        "userPrincipalName": login + "@" + realm,
        "displayName": name or login,
        "userAccountControl": str(NORMAL),
        "unicodePwd": ('"%s"' % secret("user-password")).encode("utf-16-le"),
        # What a cloud directory knows the person by: here the login, padded to 16 bytes.
        "mS-DS-ConsistencyGuid": struct.pack("<16s", (login.encode() + b"\0" * 16)[:16]),
    }
    person.update(attributes)
    sam.add(person)
    return dn


def find(login, *attributes):
    return sam.search(base, expression="sAMAccountName=" + ldb.binary_encode(login), attrs=list(attributes) or ["dn"])[0]


def policy():
    """Length 8, complexity, history 5; three wrong attempts lock until somebody unlocks.

    No minimum age, so that a person can be reset twice in a test. No maximum age and no lockout duration either:
    a snapshot may be weeks old when it is restored, and nothing in it may have run out by then."""
    tool("domain", "passwordsettings", "set", "--complexity=on", "--history-length=5", "--min-pwd-length=8",
         "--min-pwd-age=0", "--max-pwd-age=0", "--account-lockout-threshold=3", "--account-lockout-duration=0",
         "--reset-account-lockout-after=0")
    for ou in ("OU=Staff", "OU=Bulk,OU=Staff", "OU=Outside", "OU=Service Accounts"):
        tool("ou", "add", ou)


def delegation():
    """writeback-svc may reset, unlock and set must-change below OU=Staff and nothing else; nodeleg-svc may do nothing."""
    for login in ("writeback-svc", "nodeleg-svc"):
        tool("user", "create", login, secret("service-password"), "--userou=OU=Service Accounts")
        tool("user", "setexpiry", login, "--noexpiry")
    sid = str(ndr_unpack(security.dom_sid, find("writeback-svc", "objectSid")["objectSid"][0]))
    grants = (("CR", RESET_PASSWORD), ("WP", LOCKOUT_TIME), ("WP", PWD_LAST_SET))
    tool("dsacl", "set", "--objectdn=" + STAFF,
         "--sddl=" + "".join("(OA;CIIO;%s;%s;%s;%s)" % (right, guid, USER_CLASS, sid) for right, guid in grants))


SPECIAL_NAMES = {  # what a distinguished name has to escape, and what it does not
    "comma1": "Doe, John", "plus1": "Plus+Sign", "backslash1": "Back\\slash", "quote1": 'Quote"Mark"',
    "hash1": "#hash lead", "space1": " lead and trail ", "semi1": "Semi;colon<less>=eq", "slash1": "Slash/Name",
    "paren1": "Paren (x) *star*", "apos1": "O'Brien", "nonascii1": "José Ñandú Łódź", "cjk1": "山田太郎",
    "emoji1": "Smile 😀", "arabic1": "محمد", "umlaut1": "Jürgen Groß", "combining1": "e\u0301 combining",
    "üser1": "Umlaut Login",
}


def people():
    sam.transaction_start()
    for login in ("alice", "bob", "carol", "dave", "erin"):
        add(login)
    for package in ("e2e", "contract", "agent"):
        for number in range(1, PARALLEL + 1):
            add("%s%02d" % (package, number))
    for login in DEMONSTRATION:
        add(login)
    add("jan", ou="OU=Outside," + base)
    add("outsider", ou="OU=Outside," + base)
    add("disabled1", userAccountControl=str(NORMAL | DISABLED))
    add("expired1", accountExpires="132000000000000000")  # in 2019
    add("neverexp1", userAccountControl=str(NORMAL | NEVER_EXPIRES))
    add("smartcard1", userAccountControl=str(NORMAL | SMARTCARD))
    for login in ("mustchange1", "mustchange2", "cantchange1", "protuser1", "admin1", "admin2", "admin3",
                  "pso1", "pso2", "minage1", "locked1", "locked2", "locked3", "locked4"):
        add(login)
    for login, name in SPECIAL_NAMES.items():
        add(login, name)
    for number in range(BULK):
        add("u%05d" % number, ou="OU=Bulk," + STAFF)
    sam.transaction_commit()


def states():
    """What cannot be said while adding an account."""
    for login in ("mustchange1", "mustchange2"):
        modify(login, "pwdLastSet", "0")
    for login in ("locked1", "locked2", "locked3", "locked4", "finn"):
        modify(login, "lockoutTime", "133000000000000000")  # in 2022; without a duration it lasts
    tool("dsacl", "set", "--objectdn=CN=cantchange1," + STAFF,
         "--sddl=(OD;;CR;%s;;PS)(OD;;CR;%s;;WD)" % (CHANGE_PASSWORD, CHANGE_PASSWORD))  # as the box in the console does


def modify(login, attribute, value, controls=()):
    message = ldb.Message(find(login).dn)
    message[attribute] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, attribute)
    sam.modify(message, controls=list(controls))


def protected():
    """admin1 is a Domain Admin by membership only, as Samba leaves it; admin2 also carries what SDProp does on Windows, which
    Samba lacks: the descriptor of AdminSDHolder and adminCount. admin3 is one by a nested group."""
    tool("group", "addmembers", "Domain Admins", "admin1,admin2,ida")
    tool("group", "add", "Tier Zero")
    tool("group", "addmembers", "Domain Admins", "Tier Zero")
    tool("group", "addmembers", "Tier Zero", "admin3")
    tool("group", "addmembers", "Protected Users", "protuser1")
    dacl_only = ["sd_flags:1:4"]
    holder = sam.search("CN=AdminSDHolder,CN=System," + base, scope=ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"],
                        controls=dacl_only)[0]
    descriptor = ndr_unpack(security.descriptor, holder["nTSecurityDescriptor"][0])
    descriptor.type |= security.SEC_DESC_DACL_PROTECTED
    modify("admin2", "nTSecurityDescriptor", ndr_pack(descriptor), dacl_only)
    modify("admin2", "adminCount", "1")


def fine_grained():
    """Password settings objects: pso1 needs 14 characters, pso2 nearly nothing, minage1 may not change again for 900 days (longer than a snapshot is kept)."""
    for name, precedence, login, settings in (
        ("strict", 10, "pso1", ("--complexity=on", "--history-length=10", "--min-pwd-length=14", "--min-pwd-age=0")),
        ("loose", 20, "pso2", ("--complexity=off", "--history-length=0", "--min-pwd-length=4", "--min-pwd-age=0")),
        ("minage", 30, "minage1", ("--complexity=on", "--history-length=5", "--min-pwd-length=8", "--min-pwd-age=900")),
    ):
        tool("domain", "passwordsettings", "pso", "create", name, str(precedence), "--max-pwd-age=0", *settings)
        tool("domain", "passwordsettings", "pso", "apply", name, login)


policy()
delegation()
people()
states()
protected()
fine_grained()
