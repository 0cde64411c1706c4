//! Whether both sides ran the same scenario, and if not, which key differs.

use super::finding::{Finding, Kind, Value};
use crate::report::Manifest;
use serde_json::Value as Json;

/// More differing keys than this are counted, not listed.
const MOST_KEYS: usize = 8;

pub(super) fn findings(baseline: &Manifest, candidate: &Manifest) -> Vec<Finding> {
    let finding = |column: &str, baseline, candidate, detail: String| Finding {
        cell: None,
        column: column.to_string(),
        baseline,
        candidate,
        ratio: None,
        kind: Kind::Scenario,
        detail,
    };
    if baseline.scenario_digest == candidate.scenario_digest && baseline.seed == candidate.seed {
        return Vec::new();
    }
    let keys = differing_keys(&baseline.scenario, &candidate.scenario);
    let hidden = keys.len().saturating_sub(MOST_KEYS);
    let mut findings: Vec<Finding> = keys
        .into_iter()
        .take(MOST_KEYS)
        .map(|(key, then, now)| finding(&key, text(then), text(now), String::new()))
        .collect();
    match findings.last_mut() {
        Some(last) if hidden > 0 => last.detail = format!("and {hidden} more keys"),
        Some(_) => {}
        // The manifests do not hold what was resolved, or it was edited by hand.
        None => findings.push(finding(
            "scenario_digest",
            Value::Digest(baseline.scenario_digest),
            Value::Digest(candidate.scenario_digest),
            "no key of the resolved scenarios differs".to_string(),
        )),
    }
    findings
}

fn text(value: Option<Json>) -> Value {
    match value {
        None => Value::Empty,
        Some(Json::String(text)) => Value::Text(text),
        Some(other) => Value::Text(other.to_string()),
    }
}

/// The places where two resolved scenarios differ, as in `links[1].latency`, with both values; `None` is absent.
pub fn differing_keys(baseline: &Json, candidate: &Json) -> Vec<(String, Option<Json>, Option<Json>)> {
    let mut found = Vec::new();
    compare("", Some(baseline), Some(candidate), &mut found);
    found
}

fn compare(
    path: &str,
    baseline: Option<&Json>,
    candidate: Option<&Json>,
    found: &mut Vec<(String, Option<Json>, Option<Json>)>,
) {
    match (baseline, candidate) {
        (Some(Json::Object(then)), Some(Json::Object(now))) => {
            let added = now.keys().filter(|key| !then.contains_key(*key));
            for key in then.keys().chain(added) {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&inner, then.get(key), now.get(key), found);
            }
        }
        (Some(Json::Array(then)), Some(Json::Array(now))) => {
            for i in 0..then.len().max(now.len()) {
                compare(&format!("{path}[{i}]"), then.get(i), now.get(i), found);
            }
        }
        (then, now) if then == now => {}
        (then, now) => found.push((path.to_string(), then.cloned(), now.cloned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differing_keys_are_named_by_their_place() {
        let then = json!({ "seed": 1, "links": [{ "name": "wan", "latency": "50 ms" }], "old": 1, "same": [1, 2] });
        let now = json!({ "seed": 2, "links": [{ "name": "wan", "latency": "49 ms" }, { "name": "lan" }],
                          "same": [1, 2], "new": null });
        let keys: Vec<String> = differing_keys(&then, &now)
            .into_iter()
            .map(|(key, then, now)| format!("{key}: {} -> {}", text(then), text(now)))
            .collect();
        let expected = [
            "seed: 1 -> 2",
            "links[0].latency: 50 ms -> 49 ms",
            "links[1]: - -> {\"name\":\"lan\"}",
            "old: 1 -> -",
            "new: - -> null",
        ];
        assert_eq!(keys, expected);
        assert!(differing_keys(&then, &then).is_empty());
    }
}
