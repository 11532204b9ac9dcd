//! The server key: what makes a stolen database worthless. It lies outside the database, in a file that nobody but the
//! server's own account can read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::contract::OpenError;

/// 256 bits: nobody guesses it, so a PIN's hash can be tried only by who has the file.
const KEY_BYTES: usize = 32;

/// A key file is one line of 64 characters. What is much larger is another file, named by mistake.
const FILE_BYTES_MAX: u64 = 1024;

/// The key itself. It does not print, and is cleared on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct ServerKey([u8; KEY_BYTES]);

impl ServerKey {
    pub fn generate() -> Result<ServerKey, OpenError> {
        let mut key = ServerKey([0; KEY_BYTES]);
        SysRng.try_fill_bytes(&mut key.0).map_err(|error| OpenError::Random(error.to_string()))?;
        Ok(key)
    }

    /// For the hash that takes it in.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Reads the key file. `Ok(None)`: there is none.
    pub fn load(path: &Path) -> Result<Option<ServerKey>, OpenError> {
        let refuse = |why: String| OpenError::Key { path: path.to_owned(), why };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(error.to_string())),
        };
        let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
        if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
            return Err(refuse("it is no key file".to_owned()));
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(refuse(format!("others can read it (mode {mode:04o}): run chmod 600 {path}")));
        }
        let mut text = Zeroizing::new(String::new());
        let length = u64::try_from(KEY_BYTES.saturating_mul(8)).unwrap_or(FILE_BYTES_MAX);
        file.take(length).read_to_string(&mut text).map_err(|error| refuse(error.to_string()))?;
        match parse(text.trim()) {
            Some(key) => Ok(Some(key)),
            None => Err(refuse("it does not hold 64 hexadecimal digits: restore it from its copy".to_owned())),
        }
    }

    /// Reads the key file, or makes one with mode 0600 where there is none. Of two processes that make it at once one
    /// wins, and both have its key.
    pub fn load_or_create(path: &Path) -> Result<ServerKey, OpenError> {
        if let Some(key) = ServerKey::load(path)? {
            return Ok(key);
        }
        let refuse = |error: io::Error| OpenError::Key { path: path.to_owned(), why: error.to_string() };
        let key = ServerKey::generate()?;
        // Written whole under another name first: nobody ever reads half a key.
        static TURN: AtomicU32 = AtomicU32::new(0);
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}-{}.new", std::process::id(), TURN.fetch_add(1, Ordering::Relaxed)));
        let unfinished = Path::new(&name);
        let written = key.write(unfinished).and_then(|()| match fs::hard_link(unfinished, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
        // The name is of no use any more, whatever happened.
        let _ = fs::remove_file(unfinished);
        written.map_err(refuse)?;
        sync_folder(path).map_err(refuse)?;
        ServerKey::load(path)?.ok_or_else(|| refuse(io::Error::from(io::ErrorKind::NotFound)))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES.saturating_mul(2).saturating_add(1)));
        for byte in &self.0 {
            for half in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(***)")
    }
}

fn parse(text: &str) -> Option<ServerKey> {
    let mut key = ServerKey([0; KEY_BYTES]);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != KEY_BYTES || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in key.0.iter_mut().zip(pairs) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(value(*high)? << 4 | value(*low)?).ok()?;
    }
    Some(key)
}

/// A new name is lasting only once its folder is on the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A folder that is gone with the test.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("anteroom-key-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn made_once_with_mode_0600_and_read_again() {
        let folder = Folder::new("made");
        let path = folder.0.join("anteroom.key");
        assert!(ServerKey::load(&path).unwrap().is_none());
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| ServerKey::load_or_create(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let again = ServerKey::load_or_create(&path).unwrap();
        for key in keys {
            assert_eq!(key.expose(), again.expose());
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing unfinished is left");
        assert!(again.expose().iter().any(|byte| *byte != 0));
        assert!(!format!("{again:?}").contains(char::is_numeric));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused_with_what_to_do() {
        let folder = Folder::new("refused");
        let path = folder.0.join("anteroom.key");
        ServerKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = ServerKey::load(&path).unwrap_err().to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");

        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66), &"a".repeat(2000)] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(ServerKey::load(&path).is_err(), "{} characters", text.len());
        }
        assert!(ServerKey::load(&folder.0).is_err(), "a folder is no key");
    }
}
