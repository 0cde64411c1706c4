//! Whether joined results were measured alike: on which machines, by which program, and what was interleaved.

use super::Part;
use crate::report::{Host, Manifest};
use std::collections::{BTreeMap, HashSet};

/// What is compared, and how it reads.
type Property = (&'static str, fn(&Manifest) -> String);

/// Warnings about what differs between the parts that measured something.
pub(super) fn differences(parts: &[Part], measures: bool) -> Vec<String> {
    let measured: Vec<&Part> = parts.iter().filter(|part| !part.runs.is_empty()).collect();
    let mut warnings = mixed(&measured.iter().map(|part| (&*part.name, &part.manifest)).collect::<Vec<_>>());
    if measures {
        warnings.extend(apart(&measured));
    }
    warnings
}

/// A warning for each property in which the machines or programs of the named folders differ.
pub(in crate::report) fn mixed(folders: &[(&str, &Manifest)]) -> Vec<String> {
    let properties: [Property; 5] = [
        ("cpu_model", |manifest| manifest.host.cpu_model.clone().unwrap_or_else(|| "unknown".to_string())),
        ("cpu_features", |manifest| manifest.host.cpu_features.join(" ")),
        ("os", |manifest| manifest.host.os.clone()),
        ("version of longhaul", |manifest| manifest.version.clone()),
        ("git_commit", |manifest| manifest.git_commit.clone().unwrap_or_else(|| "unknown".to_string())),
    ];
    let warning = |(name, value): Property| {
        let values = by_value(folders, value);
        let text = |(value, folders): &(String, Vec<&str>)| format!("\"{value}\" in {}", folders.join(", "));
        (values.len() > 1).then(|| {
            format!(
                "mixed machines: {name} is {}; times of different folders cannot be compared with each other",
                values.iter().map(text).collect::<Vec<_>>().join(" and ")
            )
        })
    };
    properties.into_iter().filter_map(warning).collect()
}

/// The values in the order in which they appear, each with its folders.
fn by_value<'a>(folders: &[(&'a str, &Manifest)], value: fn(&Manifest) -> String) -> Vec<(String, Vec<&'a str>)> {
    let mut values: Vec<(String, Vec<&str>)> = Vec::new();
    for (folder, manifest) in folders {
        let value = value(manifest);
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, folders)) => folders.push(folder),
            None => values.push((value, vec![folder])),
        }
    }
    values
}

/// Models over links whose protocols ran at different times: their speedups divide times of different moments.
fn apart(parts: &[&Part]) -> Vec<String> {
    let mut folders: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for part in parts {
        let pairs: HashSet<_> = part.runs.iter().map(|run| (&*run.model, &*run.link)).collect();
        for pair in pairs {
            folders.entry(pair).or_default().push(&part.name);
        }
    }
    let split = folders.into_iter().filter(|(_, folders)| folders.len() > 1);
    let warning = |((model, link), folders): ((&str, &str), Vec<&str>)| {
        format!(
            "{model} over {link}: its protocols ran apart, in {}, so their repetitions were not interleaved and a drift of the \
             machine is part of the speedups; run them together for a fair comparison",
            folders.join(" and ")
        )
    };
    split.map(warning).collect()
}

/// The machine of a merged set: what all have in common, and every name there is.
pub(super) fn common(parts: &[Part]) -> Host {
    let hosts: Vec<&Host> = parts.iter().map(|part| &part.manifest.host).collect();
    let first = hosts[0];
    Host {
        cpu_model: distinct(hosts.iter().filter_map(|host| host.cpu_model.clone())),
        cores: first.cores.filter(|_| hosts.iter().all(|host| host.cores == first.cores)),
        cpu_features: {
            let everywhere = |feature: &&String| hosts.iter().all(|host| host.cpu_features.contains(feature));
            first.cpu_features.iter().filter(everywhere).cloned().collect()
        },
        os: distinct(hosts.iter().map(|host| host.os.clone())).unwrap_or_default(),
    }
}

/// Every value once, in order of appearance; `None` without any.
pub(super) fn distinct(values: impl Iterator<Item = String>) -> Option<String> {
    let mut seen: Vec<String> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    (!seen.is_empty()).then(|| seen.join("; "))
}
