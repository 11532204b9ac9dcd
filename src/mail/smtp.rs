//! One conversation with a mail server (RFC 5321): connect, protect, sign in, hand in mails. What became of each is told
//! apart, for what is tried again and what is not hangs on it.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use crate::config::{MailConfig, MailTls, SmtpServer};
use crate::words::secret::Secret;

/// From the first packet until the server is ready to take mails.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// For one answer before the text of a mail is handed over.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// For the answer after the text: the server may look a mail through first, and who gives up too early sends it twice
/// (RFC 5321, 4.5.3.2.6).
pub const TAKEN_WITHIN: Duration = Duration::from_secs(5 * 60);

/// A password file is one line. What is much larger is another file, named by mistake.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// So much of an answer is kept for the reader.
const ANSWER_CHARS_MAX: usize = 200;

/// Why a mail did not go out, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No mail goes out now: the server is away, busy, or doesn't let us in.
    #[error("{0}")]
    NoService(String),
    /// Not this one, and not now.
    #[error("{0}")]
    Later(String),
    /// This one never: the server said so.
    #[error("{0}")]
    Refused(String),
    /// It was handed over, and nobody told whether it was taken.
    #[error("{0}")]
    Unanswered(String),
}

/// A connection on which mails can be handed in.
pub struct Connection {
    smtp: AsyncSmtpConnection,
    server: String,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Connection {
    pub async fn open(config: &MailConfig, server: &SmtpServer) -> Result<Connection, SendError> {
        let name = format!("{}:{}", server.host, server.port);
        let refuse = |why: String| SendError::NoService(format!("mail server {name}: {why}"));
        match timeout(READY_WITHIN, ready(config, server)).await {
            Ok(Ok(smtp)) => Ok(Connection { smtp, server: name }),
            Ok(Err(why)) => Err(refuse(why)),
            Err(_) => Err(refuse(format!("it was not ready within {} seconds", READY_WITHIN.as_secs()))),
        }
    }

    /// Hands one mail in. After an error other than [`SendError::Refused`] and [`SendError::Later`] the connection is of
    /// no use any more.
    pub async fn send(&mut self, message: &Message) -> Result<(), SendError> {
        let text = message.formatted();
        let envelope = message.envelope();
        let sender = Mail::new(envelope.from().cloned(), vec![]);
        self.ask(sender).await?;
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), vec![]);
            if let Err(error) = self.ask(recipient).await {
                self.forget().await;
                return Err(error);
            }
        }
        self.ask(Data).await?;
        match timeout(TAKEN_WITHIN, self.smtp.message(&text)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.status().is_some() => Err(self.answered(&error)),
            Ok(Err(error)) => Err(SendError::Unanswered(format!("mail server {}: {}", self.server, described(&error)))),
            Err(_) => Err(SendError::Unanswered(format!(
                "mail server {}: no answer to the mail within {} seconds",
                self.server,
                TAKEN_WITHIN.as_secs()
            ))),
        }
    }

    async fn ask(&mut self, command: impl fmt::Display) -> Result<(), SendError> {
        match timeout(ANSWER_WITHIN, self.smtp.command(command)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.answered(&error)),
            Err(_) => Err(SendError::NoService(format!(
                "mail server {}: no answer within {} seconds",
                self.server,
                ANSWER_WITHIN.as_secs()
            ))),
        }
    }

    /// What an answer means before the mail was taken (RFC 5321, 4.2.1).
    fn answered(&self, error: &lettre::transport::smtp::Error) -> SendError {
        let why = format!("mail server {}: {}", self.server, described(error));
        match error.status().map(u16::from) {
            // The server closes, or wants a sign-in that it did not get: nothing is wrong with this mail.
            Some(421 | 454 | 530 | 534 | 535 | 538) | None => SendError::NoService(why),
            Some(code) if code >= 500 => SendError::Refused(why),
            Some(_) => SendError::Later(why),
        }
    }

    /// After a refusal in the middle the server still has the half of a mail (RFC 5321, 4.1.1.5).
    async fn forget(&mut self) {
        let _ = timeout(ANSWER_WITHIN, self.smtp.command("RSET\r\n")).await;
    }

    pub async fn close(mut self) {
        let _ = timeout(ANSWER_WITHIN, self.smtp.quit()).await;
    }
}

/// Connected, protected and signed in.
async fn ready(config: &MailConfig, server: &SmtpServer) -> Result<AsyncSmtpConnection, String> {
    let hello = ClientId::default();
    let tls = match config.tls {
        MailTls::Off => None,
        MailTls::Tls | MailTls::StartTls => Some(tls_parameters(config, server)?),
    };
    let at_once = tls.clone().filter(|_| config.tls == MailTls::Tls);
    let address = (server.host.as_str(), server.port);
    let smtp = AsyncSmtpConnection::connect_tokio1(address, Some(READY_WITHIN), &hello, at_once, None).await;
    let mut smtp = smtp.map_err(|error| described(&error))?;
    if let (MailTls::StartTls, Some(tls)) = (config.tls, tls) {
        if !smtp.can_starttls() {
            return Err("it has no STARTTLS, and mails are not sent without (mail.tls)".to_owned());
        }
        smtp.starttls(tls, &hello).await.map_err(|error| described(&error))?;
    }
    if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
        let password = password(file)?;
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        let signed_in = smtp.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
        signed_in.map_err(|error| format!("the sign-in as {user} failed: {}", described(&error)))?;
    }
    Ok(smtp)
}

fn tls_parameters(config: &MailConfig, server: &SmtpServer) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(path) = &config.ca_file {
        let refuse = |why: String| format!("mail.ca_file {}: {why}", path.display());
        let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let authority =
            Certificate::from_pem(&pem).map_err(|_| refuse("there is no PEM certificate in it".to_owned()))?;
        builder = builder.add_root_certificate(authority);
    }
    builder.build_rustls().map_err(|error| described(&error))
}

/// The first line of the file. Others must not be able to read it.
fn password(path: &Path) -> Result<Secret, String> {
    let refuse = |why: String| format!("mail.password_file {}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o007 != 0 {
        let path = path.display();
        return Err(refuse(format!("everybody can read it (mode {mode:04o}): run chmod 600 {path}")));
    }
    let mut text = zeroize::Zeroizing::new(String::with_capacity(1024));
    file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(|error| refuse(error.to_string()))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line)),
        None => Err(refuse("it is empty".to_owned())),
    }
}

/// The error and what lies behind it, in one line of a bearable length.
fn described(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = cause.source();
    }
    let line = parts.join(": ");
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(ANSWER_CHARS_MAX).collect()
}
