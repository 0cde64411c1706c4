//! Where two JSON documents differ, in words.

use serde_json::Value;

/// The first key, in document order, that differs between `before` and `now`, with both values:
/// `links[1].latency was 50000000, is 100000000`. `None` if nothing does.
pub fn first_difference(before: &Value, now: &Value) -> Option<String> {
    difference("", before, now)
}

fn difference(path: &str, before: &Value, now: &Value) -> Option<String> {
    match (before, now) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            let nothing = Value::Null;
            let inner = |key: &String| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                difference(&path, a.get(key).unwrap_or(&nothing), b.get(key).unwrap_or(&nothing))
            };
            keys.into_iter().find_map(inner)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.into_iter().find_map(|(index, (a, b))| difference(&format!("{path}[{index}]"), a, b))
        }
        (Value::Array(a), Value::Array(b)) => Some(format!("{path} had {} entries, has {}", a.len(), b.len())),
        _ if before == now => None,
        _ => Some(format!("{path} was {before}, is {now}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named_with_its_place() {
        let before = json!({ "name": "x", "links": [{ "rtt": 1 }, { "rtt": 2 }], "seed": 1 });
        assert_eq!(first_difference(&before, &before), None);
        for (pointer, value, expected) in [
            ("/name", json!("y"), "name was \"x\", is \"y\""),
            ("/links/1/rtt", json!(3), "links[1].rtt was 2, is 3"),
            ("/links", json!([]), "links had 2 entries, has 0"),
            ("/seed", json!({ "a": 1 }), "seed was 1, is {\"a\":1}"),
        ] {
            let mut now = before.clone();
            *now.pointer_mut(pointer).expect("a place") = value;
            assert_eq!(first_difference(&before, &now).as_deref(), Some(expected));
        }
        assert_eq!(first_difference(&json!({}), &json!({ "a": 1 })).as_deref(), Some("a was null, is 1"));
    }
}
