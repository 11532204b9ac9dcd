"""A real mail server for the tests: aiosmtpd on loopback. Each mail that arrives is parsed by Python's own e-mail package
and written as one JSON line to standard output; the first line says the port.

What a recipient is called decides what becomes of his mail: refused@ 550, later@ 451, repeats@ 554 with the text of the
mail in the answer, silent@ takes the mail and closes without an answer.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Taker:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 there is nobody of this name here"
        if address.startswith("later@"):
            return "451 4.3.0 not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)

        def part(kind):
            found = message.get_body(preferencelist=(kind,))
            return found.get_content() if found is not None else None

        line = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "from": str(message["from"]),
            "to": str(message["to"]),
            "subject": str(message["subject"]),
            "message_id": str(message["message-id"]),
            "date": str(message["date"]),
            "auto_submitted": str(message["auto-submitted"]),
            "type": message.get_content_type(),
            "parts": [part.get_content_type() for part in message.iter_parts()],
            "defects": [repr(defect) for part in message.walk() for defect in part.defects],
            "text": part("plain"),
            "html": part("html"),
            "tls": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
            "signed_in": bool(session.authenticated),
        }
        print(json.dumps(line), flush=True)
        if any(to.startswith("silent@") for to in envelope.rcpt_tos):
            server.transport.abort()
            return "250 OK"
        if any(to.startswith("repeats@") for to in envelope.rcpt_tos):
            text = " ".join(part("plain").split())
            return "554 5.7.1 this looks bad: " + text[:400].encode("ascii", "replace").decode()
        return "250 OK"


def tls(arguments):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.key)
    return context


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    arguments = parser.parse_args()

    def authenticate(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (
            data.login.decode() == arguments.user and data.password.decode() == arguments.password
        )
        return AuthResult(success=right, handled=False)

    def factory():
        return SMTP(
            Taker(),
            hostname="localhost",
            tls_context=tls(arguments) if arguments.tls == "starttls" else None,
            require_starttls=arguments.tls == "starttls",
            authenticator=authenticate if arguments.user else None,
            auth_required=bool(arguments.user),
            auth_require_tls=arguments.tls == "starttls",
        )

    context = tls(arguments) if arguments.tls == "tls" else None
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", arguments.port, ssl=context)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


asyncio.run(main())
