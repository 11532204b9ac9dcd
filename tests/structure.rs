//! The structure is a promise: imports run downward only, the cores do not know each other, and everything below the
//! shell is pure.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `src`, each with its layer.
const LAYERS: &[(&str, u8)] = &[
    ("words", 0),
    ("wire", 1),
    ("sip", 2),
    ("attendant", 2),
    ("meeting", 2),
    ("media", 2),
    ("engine", 3),
    ("credentials", 4),
    ("mail", 4),
    ("net", 4),
    ("observe", 4),
    ("admin", 4),
    ("web", 4),
    ("config", 4),
    ("server", 4),
    ("replay", 4),
    ("cli", 4),
];

/// What has no place in layers 0 to 3: clocks, sockets, threads, locks, async, global randomness, files.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::net::UdpSocket",
    "UdpSocket",
    "TcpStream",
    "std::thread",
    "thread::spawn",
    "Mutex",
    "RwLock",
    "Atomic",
    "tokio::",
    "tokio_util",
    "async fn",
    "async {",
    "async move",
    "rand::rng(",
    "thread_rng",
    "SysRng",
    "OsRng",
    "std::fs",
    "std::env",
    "println!",
    "tracing::",
];

struct SourceFile {
    path: PathBuf,
    module: String,
    layer: u8,
    /// Without comments, and without the file's own tests.
    code: String,
}

#[test]
fn imports_run_downward_only_and_cores_do_not_know_each_other() {
    let mut wrong = Vec::new();
    for file in source_files() {
        for (line, used) in used_modules(&file.code) {
            let Some(layer) = layer_of(&used) else { continue };
            let allowed = used == file.module || layer < file.layer || (layer == 4 && file.layer == 4);
            if !allowed {
                wrong.push(format!(
                    "{}: `{}` (layer {}) uses crate::{used} (layer {layer}): {line}",
                    file.path.display(),
                    file.module,
                    file.layer
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the layers:\n{}", wrong.join("\n"));
}

#[test]
fn everything_below_the_shell_is_pure() {
    let mut wrong = Vec::new();
    for file in source_files().iter().filter(|file| file.layer < 4) {
        for line in file.code.lines() {
            for word in IMPURE {
                if line.contains(word) {
                    wrong.push(format!("{}: {word}: {}", file.path.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "impure below the shell:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_of_the_tree_has_its_layer() {
    let mut unknown = Vec::new();
    for entry in fs::read_dir(source_root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        if !matches!(module, "lib" | "main") && layer_of(module).is_none() {
            unknown.push(name);
        }
    }
    assert!(unknown.is_empty(), "give these a layer in tests/structure.rs and in src/lib.rs: {unknown:?}");
}

#[test]
fn unsafe_code_stands_in_one_file_at_most() {
    let with_unsafe: Vec<PathBuf> = source_files()
        .into_iter()
        .filter(|file| file.code.lines().any(|line| line.contains("unsafe ") || line.contains("unsafe{")))
        .map(|file| file.path)
        .collect();
    assert!(
        with_unsafe.iter().all(|path| path.ends_with("net/udp_drain.rs")),
        "unsafe outside src/net/udp_drain.rs: {with_unsafe:?}"
    );
}

/// The test's own eyes: it sees what it forbids.
#[test]
fn the_checks_see_what_they_forbid() {
    let code = strip(
        "use crate::sip::Flow; // crate::media\nlet now = Instant::now();\n#[cfg(test)]\nmod tests { crate::net }",
    );
    assert_eq!(used_modules(&code).into_iter().map(|(_, module)| module).collect::<Vec<_>>(), ["sip"]);
    assert!(IMPURE.iter().any(|word| code.contains(word)));
    let grouped = used_modules("use crate::{media, sip::Flow, words::ids::CallKey};");
    assert_eq!(grouped.into_iter().map(|(_, module)| module).collect::<Vec<_>>(), ["media", "sip", "words"]);
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn layer_of(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|&(_, layer)| layer)
}

fn source_files() -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut folders = vec![source_root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.extend(source_file(path));
            }
        }
    }
    assert!(files.len() > 40, "only {} source files found", files.len());
    files
}

/// `None` for `main.rs`, `lib.rs` and files of tests.
fn source_file(path: PathBuf) -> Option<SourceFile> {
    let below = path.strip_prefix(source_root()).ok()?.to_owned();
    let first = below.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
    let layer = layer_of(&first)?;
    let is_tests =
        below.components().any(|part| part.as_os_str().to_str().is_some_and(|name| name.starts_with("tests")));
    if is_tests {
        return None;
    }
    let code = strip(&fs::read_to_string(&path).unwrap());
    Some(SourceFile { path, module: first, layer, code })
}

/// The code without comments and without what stands below `#[cfg(test)]`.
fn strip(source: &str) -> String {
    source
        .lines()
        .take_while(|line| !line.trim_start().starts_with("#[cfg(test)]"))
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every `crate::module` of the code, also in groups (`crate::{a, b::c}`), with its line.
fn used_modules(code: &str) -> Vec<(String, String)> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().to_owned()
            + code[at..].split('\n').next().unwrap_or_default();
        let rest = &code[at + "crate::".len()..];
        let names: Vec<String> = match rest.strip_prefix('{') {
            Some(group) => top_level_names(group),
            None => vec![first_word(rest)],
        };
        used.extend(names.into_iter().map(|name| (line.trim().to_owned(), name)));
    }
    used
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut item, mut names) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(first_word(&std::mem::take(&mut item))),
            _ => {}
        }
        if c != ',' || depth > 0 {
            item.push(c);
        }
    }
    names.push(first_word(&item));
    names.retain(|name| !name.is_empty());
    names
}
