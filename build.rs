//! Tells the library which commit it is built from, by reading `.git` without running git.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    // Also keeps cargo from watching every file of the package.
    println!("cargo::rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    if let Some(commit) = git_dir(&root.join(".git")).and_then(|dir| head_commit(&dir)) {
        println!("cargo::rustc-env=LONGHAUL_GIT_COMMIT={commit}");
    }
}

/// `.git` itself, or the folder it points to in a linked working tree.
fn git_dir(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return Some(dot_git.to_owned());
    }
    let text = fs::read_to_string(dot_git).ok()?;
    let target = text.strip_prefix("gitdir:")?.trim();
    Some(dot_git.parent()?.join(target))
}

fn head_commit(git_dir: &Path) -> Option<String> {
    // Every commit and checkout appends to this log, wherever the branch itself is stored.
    watch(&git_dir.join("logs/HEAD"));
    let head = read_watched(&git_dir.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else {
        return object_name(&head);
    };
    // Branches of a linked working tree live in the main repository.
    let shared = match fs::read_to_string(git_dir.join("commondir")) {
        Ok(path) => git_dir.join(path.trim()),
        Err(_) => git_dir.to_owned(),
    };
    if let Some(loose) = read_watched(&shared.join(name)) {
        return object_name(&loose);
    }
    read_watched(&shared.join("packed-refs"))?
        .lines()
        .find_map(|line| line.strip_suffix(name)?.strip_suffix(' '))
        .and_then(object_name)
}

fn object_name(text: &str) -> Option<String> {
    let name = text.trim();
    let is_hex = name.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex && (name.len() == 40 || name.len() == 64)).then(|| name.to_owned())
}

fn read_watched(path: &Path) -> Option<String> {
    watch(path);
    fs::read_to_string(path).ok()
}

/// Watching a file that does not exist would rebuild every time.
fn watch(path: &Path) {
    if path.exists() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}
