//! Somebody who asks: a browser with its cookie, or a program with its token.

use serde_json::{Value, json};
use ureq::http::{HeaderMap, Method, Request};

use crate::support::{Organizer, Server};
use std::time::Duration;

pub const PASSWORD: &str = "correct horse battery staple";

/// A server with its first administrator.
pub struct Site {
    pub server: Server,
    pub administrator: Client,
}

impl Site {
    pub fn start(name: &str, settings: &[&str]) -> Site {
        let server = Server::start(name, settings);
        let link = first_link(&server);
        let browser = Client::new(&server);
        let body = json!({"link": link, "name": "Admin", "password": PASSWORD});
        let answer = browser.send("POST", "/first-administrator", Some(&body));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let administrator = browser.signed_in(&answer);
        Site { server, administrator }
    }

    /// Enables a user and returns what was shown of him.
    pub fn enable(&self, identity: &str) -> Organizer {
        let answer = self.administrator.send("PUT", &format!("/users/{identity}"), None);
        assert_eq!(answer.status, 201, "{}", answer.text);
        let text = |key: &str| answer.json()[key].as_str().unwrap().to_owned();
        Organizer { identity: identity.to_owned(), conference_id: text("conference_id"), pin: text("pin") }
    }

    /// A program with a token of this role, of this user.
    pub fn program(&self, role: &str, user: Option<&str>) -> Client {
        let body = json!({"label": format!("test {role}"), "role": role, "user": user});
        let answer = self.administrator.send("POST", "/tokens", Some(&body));
        assert_eq!(answer.status, 201, "{}", answer.text);
        let token = answer.json()["secret"].as_str().unwrap().to_owned();
        Client { token: Some(token), ..Client::new(&self.server) }
    }
}

/// The one-time link that the server has printed.
pub fn first_link(server: &Server) -> String {
    let line = server.wait_for_line("/first-administrator#", Duration::from_secs(20));
    line.split_once('#').unwrap().1.trim().to_owned()
}

#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub cookie: Option<String>,
    pub csrf: Option<String>,
    pub token: Option<String>,
    pub extra: Vec<(String, String)>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// A problem of this kind and status, in the words of RFC 9457.
    pub fn assert_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let json = self.json();
        assert_eq!(json["type"], format!("urn:anteroom:problem:{kind}"), "{json}");
        assert_eq!(json["status"], status);
        let detail = json["detail"].as_str().unwrap();
        assert!(!detail.is_empty() && !detail.contains('\n') && json["title"].is_string(), "{json}");
    }
}

impl Client {
    pub fn new(server: &Server) -> Client {
        Client { base: format!("http://{}", server.http), cookie: None, csrf: None, token: None, extra: Vec::new() }
    }

    /// The same browser with the session that this answer has begun.
    pub fn signed_in(&self, answer: &Answer) -> Client {
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
        Client { cookie: Some(cookie), csrf: Some(csrf), ..self.clone() }
    }

    /// With this header besides.
    pub fn with(&self, name: &str, value: &str) -> Client {
        let mut client = self.clone();
        client.extra.push((name.to_owned(), value.to_owned()));
        client
    }

    /// Below `/api/v1`.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let text = body.map(Value::to_string);
        let content = text.as_ref().map(|_| "application/json");
        self.send_raw(method, &format!("/api/v1{path}"), content, text.unwrap_or_default().into_bytes())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub fn send_raw(&self, method: &str, path: &str, content_type: Option<&str>, body: Vec<u8>) -> Answer {
        let method: Method = method.parse().unwrap();
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.extra {
            request = request.header(name, value);
        }
        let request = request.body(body).unwrap();
        // An agent keeps cookies; here each client says itself which it sends.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        let agent: ureq::Agent = config.into();
        let mut response = agent.run(request).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), text }
    }
}
