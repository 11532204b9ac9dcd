//! Requests by the thousand, made from our own description, right ones and wrong ones: the server fails at none.

use std::process::Command;
use std::time::Duration;

use crate::client::Site;

#[test]
#[ignore = "needs schemathesis (PyPI); tests/run installs and runs it"]
fn no_request_that_the_description_allows_makes_the_server_fail() {
    let mut site = Site::start("schema", &[]);
    site.enable("anna@example.com");
    let program = site.program("administrator", None);
    let token = program.token.unwrap();
    let schemathesis = std::env::var("SCHEMATHESIS").unwrap_or_else(|_| "target/test-venv/bin/schemathesis".to_owned());
    // It leaves its notes where it runs.
    let schemathesis = std::fs::canonicalize(&schemathesis).expect(
        "schemathesis is there: python3 -m venv target/test-venv; target/test-venv/bin/pip install schemathesis",
    );
    let run = Command::new(schemathesis)
        .current_dir(site.server.folder())
        .args(["run", &format!("http://{}/api/openapi.json", site.server.http)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,response_schema_conformance,content_type_conformance",
        ])
        // A stream without an end; and the token that asks must not be revoked.
        .args(["--exclude-operation-id", "events", "--exclude-operation-id", "revoke_token"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1", "--no-color"])
        .args(["--request-timeout", "30"])
        .output()
        .expect(
            "schemathesis is there: python3 -m venv target/test-venv; target/test-venv/bin/pip install schemathesis",
        );
    let said = String::from_utf8_lossy(&run.stdout).replace(&token, "…");
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(site.server.is_alive());
    assert_eq!(site.server.get("/healthz").0, 200);
    let log = site.server.log_text();
    assert!(!log.contains("an HTTP route panicked"), "a route panicked");
    let _ = site.server.wait_for_line("the server is ready", Duration::from_secs(1));
}
