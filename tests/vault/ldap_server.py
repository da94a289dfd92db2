"""An LDAP server with one person in it, on loopback. Usage: python ldap_server.py PORT"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

from ldaptor.inmemory import fromLDIFFile
from ldaptor.interfaces import IConnectedLDAPEntry
from ldaptor.protocols.ldap.ldapserver import LDAPServer
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.python.components import registerAdapter

PEOPLE = b"""\
dn: dc=example,dc=org
dc: example
objectClass: dcObject

dn: ou=people,dc=example,dc=org
ou: people
objectClass: organizationalunit

dn: cn=me,ou=people,dc=example,dc=org
cn: me
objectClass: person
userPassword: pw of me

"""


class Directory(Factory):
    protocol = LDAPServer

    def __init__(self, root: Any) -> None:
        self.root = root


def serve(root: Any) -> None:
    reactor.listenTCP(int(sys.argv[1]), Directory(root), interface="127.0.0.1")


registerAdapter(lambda directory: directory.root, Directory, IConnectedLDAPEntry)
fromLDIFFile(BytesIO(PEOPLE)).addCallback(serve)
reactor.run()
