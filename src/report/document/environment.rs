//! Where, when and with what the results were made, and what the reader should know about it.

use super::{Source, Table};
use crate::report::human;
use crate::report::merge::machines::mixed;
use serde_json::Value;

/// The scenarios' names, each once.
pub(super) fn title(sources: &[Source]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for source in sources {
        for summary in &source.summaries {
            if !names.contains(&&*summary.scenario) {
                names.push(&summary.scenario);
            }
        }
    }
    names.join(", ")
}

/// How much was measured, how and when, in a line.
pub(super) fn subtitle(sources: &[Source]) -> String {
    let cells: usize = sources.iter().map(|source| source.summaries.len()).sum();
    let runs: u64 = sources.iter().flat_map(|source| &source.summaries).map(|summary| summary.n).sum();
    let settings = |key: &str| distinct(sources.iter().map(|source| setting(source, key)));
    let days = distinct(sources.iter().map(|source| source.manifest.started_at.chars().take(10).collect()));
    format!(
        "{runs} runs of {cells} cells, clock {}, compute {}; {} {}; {days}",
        settings("clock"),
        settings("compute"),
        sources.first().map_or("longhaul", |source| &source.manifest.tool),
        distinct(sources.iter().map(|source| source.manifest.version.clone())),
    )
}

fn setting(source: &Source, key: &str) -> String {
    match &source.manifest.scenario[key] {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_string(),
        other => other.to_string(),
    }
}

fn distinct(values: impl Iterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.join(" and ")
}

/// What the runs warned of, what is unfinished, and what differs between the folders.
pub(super) fn warnings(sources: &[Source]) -> Vec<String> {
    let several = sources.len() > 1;
    let mut warnings = Vec::new();
    for source in sources {
        let name = &source.name;
        if source.manifest.finished_at.is_none() {
            warnings.push(format!("{name}: the run is unfinished; these are the cells and repetitions it has so far"));
        }
        for text in &source.manifest.warnings {
            warnings.push(if several { format!("{name}: {text}") } else { text.clone() });
        }
    }
    warnings.extend(mixed(&sources.iter().map(|source| (&*source.name, &source.manifest)).collect::<Vec<_>>()));
    warnings
}

/// A column per folder, a row per property.
pub(super) fn table(sources: &[Source]) -> Table {
    type Property = (&'static str, fn(&Source) -> Option<String>);
    let properties: &[Property] = &[
        ("program", |s| Some(format!("{} {}", s.manifest.tool, s.manifest.version))),
        ("commit", |s| s.manifest.git_commit.clone()),
        ("started", |s| Some(s.manifest.started_at.clone())),
        ("resumed", |s| (!s.manifest.resumed_at.is_empty()).then(|| s.manifest.resumed_at.join(", "))),
        ("finished", |s| Some(s.manifest.finished_at.clone().unwrap_or("unfinished".to_string()))),
        ("processor", |s| s.manifest.host.cpu_model.clone()),
        ("cores", |s| s.manifest.host.cores.map(|cores| cores.to_string())),
        ("instruction sets", |s| Some(s.manifest.host.cpu_features.join(", "))),
        ("system", |s| Some(s.manifest.host.os.clone())),
        ("allocator", |s| s.manifest.allocator.clone()),
        ("peak memory", |s| s.manifest.peak_rss_bytes.map(human::bytes)),
        ("clock", |s| Some(setting(s, "clock"))),
        ("compute", |s| Some(setting(s, "compute"))),
        ("repetitions", |s| Some(setting(s, "repetitions"))),
        ("warm-up runs", |s| Some(setting(s, "warmup"))),
        ("seed", |s| Some(s.manifest.seed.to_string())),
        ("cells asked for", |s| s.manifest.selection.clone()),
        ("shard", |s| s.manifest.shard.map(|shard| format!("{} of {}", shard.index, shard.count))),
        ("merged from", |s| (!s.manifest.merged_from.is_empty()).then(|| s.manifest.merged_from.join(", "))),
        ("scenario digest", |s| Some(s.manifest.scenario_digest.to_hex().to_string())),
    ];
    let mut rows = Vec::new();
    for (name, value) in properties {
        let values: Vec<Option<String>> = sources.iter().map(value).collect();
        if values.iter().any(Option::is_some) {
            let cells = values.into_iter().map(|value| value.unwrap_or_else(|| super::tables::NOTHING.to_string()));
            rows.push(std::iter::once((*name).to_string()).chain(cells).collect());
        }
    }
    let mut header = vec!["property".to_string()];
    header.extend(sources.iter().map(|source| source.name.clone()));
    let names = header.len();
    Table { id: "environment".into(), caption: "What measured, and how.".into(), header, names, rows }
}

/// The scenario file of each folder; the resolved scenario where the file was not kept.
pub(super) fn scenarios(sources: &[Source]) -> Vec<(String, String)> {
    let text = |source: &Source| match &source.scenario {
        Some(text) => text.clone(),
        None => serde_json::to_string_pretty(&source.manifest.scenario).expect("a JSON value prints"),
    };
    sources.iter().map(|source| (source.name.clone(), text(source))).collect()
}
