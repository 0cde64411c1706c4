//! The schema against the parser: the same keys, and no verdict that differs but where only the parser can know.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::Validator;

use super::super::sections::SECTIONS;
use super::super::tests::catalogue;
use super::*;

/// Of the ids in the tests' catalogue.
static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&schema(&catalogue())).expect("a schema"));

/// Whether the schema refuses `text`, and why; `None` if it is no TOML or has no form in JSON.
pub(in crate::scenario) fn refusals(text: &str) -> Option<Vec<String>> {
    let value: toml::Value = toml::from_str(text).ok()?;
    let json = serde_json::to_value(value).ok()?;
    Some(VALIDATOR.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect())
}

#[test]
fn every_section_has_the_same_keys() {
    let schema = schema(&catalogue());
    for section in SECTIONS {
        let table = match section.header {
            "the top of the file" => &schema,
            header => {
                let definition = match header {
                    "[auto]" => "AutoTable",
                    "[fixed_point]" => "FixedPointTable",
                    "[input]" => "InputTable",
                    "[[model]]" => "ModelTable",
                    "weights = { ... }" => "WeightsTable",
                    "normalize = { ... }" => "NormalizeTable",
                    "[[protocol]]" => "ProtocolTable",
                    "[[protocol.slots]]" => "SlotsTable",
                    "[[link]]" => "LinkTable",
                    "[speedup]" => "SpeedupTable",
                    "[memory]" => "MemoryTable",
                    _ => panic!("{header} is not in file.rs: add a struct for it"),
                };
                &schema["$defs"][definition]
            }
        };
        let properties = table["properties"].as_object().expect("a table");
        let described: BTreeSet<_> = properties.keys().map(String::as_str).collect();
        let read: BTreeSet<_> = section.keys.iter().copied().collect();
        assert_eq!(described, read, "{}", section.header);
        assert_eq!(table["additionalProperties"], false, "{}", section.header);
        for (key, value) in properties {
            assert!(value["description"].is_string(), "{} {key}: {value}", section.header);
        }
    }
}

#[test]
fn ids_come_from_the_catalogue() {
    let schema = schema(&catalogue());
    let ids = |definition: &str| schema["$defs"][definition]["enum"].clone();
    assert_eq!(ids("Protocol"), json!(["fused", "espn", "gc", "gmw"]));
    assert_eq!(ids("Arch"), json!(["minionn", "resnet20", "resnet110", "vgg16"]));
    assert_eq!(ids("LinkModel"), json!(["ideal", "tcp"]));
    assert_eq!(ids("PolynomialName"), json!(["relu-d2", "relu-d4"]));
    assert_eq!(ids("Ot").as_array().map(Vec::len), Some(OtExtension::ALL.len()));
}

#[test]
fn quantities_are_read_alike() {
    let with = |key: &str, text: &str| {
        let line = format!("{key} = \"{text}\"");
        let rest = ["rtt = \"1 ms\"", "bandwidth = \"unlimited\"", "packet_payload = \"1 B\""];
        let rest = rest.into_iter().filter(|other| !other.starts_with(key)).collect::<Vec<_>>().join("\n");
        format!(
            "name = \"x\"\nmodel = [{{ arch = \"minionn\" }}]\nprotocol = [{{ id = \"gc\" }}]\n[[link]]\nname = \"l\"\n{line}\n{rest}"
        )
    };
    for key in ["rtt", "bandwidth", "packet_payload", "packet_overhead"] {
        let units = "s ms us \u{b5}s \u{3bc}s ns min bit/s kbit/s Kbit/s Mbit/s Gbit/s Tbit/s MB/s B KB kB KiB MB MiB GB GiB TB TiB PB";
        for unit in units.split(' ').chain(["", "unlimited"]) {
            for number in ["2", "0", "0.0", "0.002", "2.", ".2", "2.0.0", "-2", "2e1", "", " 2 "] {
                for text in [format!("{number} {unit}"), format!("{number}{unit}")] {
                    let text = with(key, &text);
                    let read = super::super::tests::parsed(&text);
                    let whole = |error: &str| error.contains("is not a whole number") || error.contains("be halved");
                    if read.as_ref().is_err_and(|error| whole(&error.to_string())) {
                        continue;
                    }
                    let refused = refusals(&text).expect("TOML");
                    assert_eq!(refused.is_empty(), read.is_ok(), "{text}\n{refused:?}\n{read:?}");
                }
            }
        }
    }
}
