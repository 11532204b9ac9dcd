//! A PostgreSQL cluster of the tests' own: in a temporary folder, on a socket in it, gone with the process.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anteroom::config::{StoreConfig, StoreUrl};
use anteroom::words::secret::Secret;

/// The password that stands in the URLs: a test looks for it where it must not be.
pub const PASSWORD: &str = "pw86420secret";

/// A running cluster. The shell between it and us waits for its standard input to end, which it does with this process,
/// however that ends; then it stops the cluster and removes the folder.
pub struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    shell: Child,
    is_frozen: AtomicBool,
}

const RUN: &str = r#"
trap '' INT TERM
"$@" >"$FOLDER.log" 2>&1 &
read -r _
kill -INT $! 2>/dev/null; wait $!
rm -rf "$FOLDER" "$FOLDER.log"
"#;

impl Cluster {
    pub fn start() -> Cluster {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let binaries = binaries();
        let folder = std::env::temp_dir().join(format!("anteroom-postgres-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        if let Some(user) = other_user() {
            assert!(Command::new("chown").arg(&user).arg(&folder).status().unwrap().success());
        }
        // Sorted by a language, as many databases of the world are: the store must not depend on it.
        let mut initdb = as_user(&binaries.join("initdb"));
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]);
        initdb.args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "-D"]).arg(&folder);
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let shell = Cluster::run(&binaries, &folder);
        let cluster = Cluster { folder, binaries, shell, is_frozen: AtomicBool::new(false) };
        cluster.wait_until_ready();
        cluster
    }

    fn run(binaries: &Path, folder: &Path) -> Child {
        let server = as_user(&binaries.join("postgres"));
        let mut shell = Command::new("sh");
        shell.args(["-c", RUN, "sh"]).arg(server.get_program()).args(server.get_args());
        shell.arg("-D").arg(folder).arg("-k").arg(folder);
        for setting in ["listen_addresses=", "fsync=off", "max_connections=300", "shared_buffers=32MB"] {
            shell.args(["-c", setting]);
        }
        shell.env("FOLDER", folder).stdin(Stdio::piped()).spawn().unwrap()
    }

    fn wait_until_ready(&self) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.psql_works() {
            assert!(Instant::now() < patience, "PostgreSQL did not come up: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn psql_works(&self) -> bool {
        self.psql("SELECT 1").is_some()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(format!("{}.log", self.folder.display())).unwrap_or_default()
    }

    /// Stops it at once, as when its machine dies: no farewell to anybody.
    pub fn kill(&mut self) {
        assert!(Command::new("kill").args(["-QUIT", &self.postmaster()]).status().unwrap().success());
        let patience = Instant::now() + Duration::from_secs(30);
        while self.psql_works() || self.folder.join("postmaster.pid").exists() {
            assert!(Instant::now() < patience, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Brings it back, with what it had.
    pub fn revive(&mut self) {
        self.shell.kill().unwrap();
        self.shell.wait().unwrap();
        self.shell = Cluster::run(&self.binaries, &self.folder);
        self.wait_until_ready();
    }

    /// Every process of it stands still: connections stay open and nothing is answered, as when its machine hangs.
    pub fn freeze(&self) {
        self.is_frozen.store(true, Ordering::SeqCst);
        self.signal_all("-STOP");
    }

    pub fn thaw(&self) {
        self.signal_all("-CONT");
        self.is_frozen.store(false, Ordering::SeqCst);
    }

    /// Who connects anew is served; connections that were there stay silent.
    pub fn thaw_for_new_connections(&self) {
        assert!(Command::new("kill").args(["-CONT", &self.postmaster()]).status().unwrap().success());
    }

    fn postmaster(&self) -> String {
        let pids = std::fs::read_to_string(self.folder.join("postmaster.pid")).unwrap();
        pids.lines().next().unwrap().to_owned()
    }

    fn signal_all(&self, signal: &str) {
        let postmaster = self.postmaster();
        // The postmaster first: then there will be no further ones.
        assert!(Command::new("kill").args([signal, &postmaster]).status().unwrap().success());
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        for child in children.split_whitespace() {
            // One may have ended meanwhile.
            let _ = Command::new("kill").args([signal, child]).stderr(Stdio::null()).status();
        }
    }

    /// The answer of one statement. `None`: it failed.
    pub fn psql(&self, sql: &str) -> Option<String> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-At", "-U", "postgres", "-h"]).arg(&self.folder).args(["-c", sql, "postgres"]);
        let done = psql.env_remove("PGHOST").output().unwrap();
        done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    /// A new, empty database.
    pub fn new_database(&self) -> Secret {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        self.psql(&format!("CREATE DATABASE {name}")).unwrap();
        Secret::new(format!("postgres://postgres:{PASSWORD}@localhost/{name}?host={}", self.folder.display()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test that failed while it was frozen.
        if self.is_frozen.load(Ordering::SeqCst) {
            self.thaw();
        }
        if let Some(mut input) = self.shell.stdin.take() {
            let _ = input.write_all(b"\n");
        }
        let _ = self.shell.wait();
    }
}

/// The cluster that the tests of one process share.
pub fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start)
}

/// A new, empty database in the shared cluster.
pub fn new_database() -> Secret {
    shared().new_database()
}

/// The answer of one statement in this database.
pub fn ask(url: &Secret, sql: &str) -> String {
    let done = Command::new(binaries().join("psql")).args(["-X", "-At", "-c", sql, url.expose()]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// Everything in a database, as text: tables with their rows, bytes in hexadecimal.
pub fn dump(url: &str) -> String {
    let dump =
        Command::new(binaries().join("pg_dump")).arg("--inserts").arg(format!("--dbname={url}")).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    String::from_utf8(dump.stdout).unwrap()
}

/// A store in a new database, its key in this folder.
pub fn config(folder: &Path) -> StoreConfig {
    StoreConfig { url: StoreUrl::Postgres(new_database()), key_file: Some(folder.join("server.key")) }
}

/// The newest PostgreSQL that Debian installed.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("no PostgreSQL: apt-get install postgresql");
    let newest = versions.filter_map(|entry| entry.unwrap().file_name().into_string().ok()?.parse::<u32>().ok()).max();
    PathBuf::from(format!("/usr/lib/postgresql/{}/bin", newest.expect("a version of PostgreSQL")))
}

/// PostgreSQL refuses to run as root: then it runs as its own user, or as nobody.
fn other_user() -> Option<String> {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let postgres = users.lines().any(|line| line.starts_with("postgres:"));
    root.then(|| if postgres { "postgres" } else { "nobody" }.to_owned())
}

fn as_user(program: &Path) -> Command {
    match other_user() {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={user}")).args(["--clear-groups", "--"]).arg(program);
            command.current_dir("/");
            command
        }
        None => Command::new(program),
    }
}
