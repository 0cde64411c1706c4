//! The dependency direction of the crate's modules, read off their `crate::` paths.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Per module: what it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("crypto", &["units"]),
    ("link", &["units"]),
    ("net", &["units", "link"]),
    ("ring", &["units", "crypto"]),
    ("protocol", &["units", "crypto", "link", "ring"]),
    ("nn", &["units", "crypto", "link", "ring", "protocol"]),
    ("pillar", &["units", "ring", "protocol", "nn"]),
    ("scenario", &["units", "protocol", "nn"]),
    ("report", &["units"]),
    ("check", &["units", "report"]),
    ("run", &["units", "crypto", "link", "ring", "protocol", "nn", "scenario", "report", "net"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that `text` names after `crate::`, alone or in braces.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut modules = BTreeSet::new();
    for (start, _) in code.match_indices("crate::").filter(|(start, _)| !code[..*start].ends_with('$')) {
        let rest = &code[start + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let end = group.find(|c| {
                    depth += (c == '{') as i32 - (c == '}') as i32;
                    depth < 0
                });
                top_level(&group[..end.unwrap_or(group.len())])
            }
            None => vec![rest],
        };
        let name =
            |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        modules.extend(names.into_iter().map(name).filter(|name| !name.is_empty()));
    }
    modules
}

/// Splits at the commas outside inner braces.
fn top_level(group: &str) -> Vec<&str> {
    let mut depth = 0;
    group
        .split(move |c| {
            depth += (c == '{') as i32 - (c == '}') as i32;
            c == ',' && depth == 0
        })
        .collect()
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut checked = 0;
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            assert!(
                ["lib", "main", "cli"].contains(&module),
                "{}: add the module `{module}` to the table above",
                relative.display()
            );
            continue;
        };
        for used in used(&std::fs::read_to_string(&file).unwrap()) {
            assert!(
                used == module || allowed.contains(&used.as_str()),
                "{}: `{module}` may not use `{used}`",
                relative.display()
            );
        }
        checked += 1;
    }
    assert!(checked > 20, "the scan found only {checked} files");
}

#[test]
fn the_scan_sees_grouped_and_single_paths() {
    let text = "use crate::{crypto::{Prg, Seed}, link};\nfn f() -> crate::units::Nanos {}\n// crate::run is a comment";
    assert_eq!(used(text), ["crypto", "link", "units"].map(String::from).into());
}
