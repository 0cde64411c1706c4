//! The JSON Schema (draft 2020-12) of scenario files, for editors: completion, descriptions, faults while one types.
//!
//! `file.rs` mirrors the file's shape; here the ids come in that exist, and what `[[model]]`, `[[protocol]]` and others
//! allow together. The parser stays the judge: whatever it accepts the schema accepts, and what only the parser can know
//! (a missing file, a name that is taken) the schema lets pass. Tests hold both to it, and to `sections.rs`.

mod file;

#[cfg(test)]
pub(super) mod tests;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};

use super::catalogue::{Catalogue, Family, Setting};
use super::links::TRANSPORT_KEYS;
use super::presets::LINK_PRESETS;
use crate::protocol::Polynomial;
use crate::protocol::ot::OtExtension;

/// The schema of a scenario file that names what is in `catalogue`.
pub fn schema(catalogue: &Catalogue) -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with_transform(RecursiveTransform(as_toml));
    let mut schema = settings.into_generator().into_root_schema_for::<file::Scenario>().to_value();
    let definitions = &mut schema["$defs"];
    let ids = |ids: Vec<&str>| json!({ "type": "string", "enum": ids });
    let mut name = |definition: &str, names: Vec<&str>| {
        let names = ids(names).as_object().expect("made above").clone();
        definitions[definition].as_object_mut().expect("a definition of file.rs").extend(names);
    };
    name("Protocol", catalogue.protocols.iter().map(|known| known.id).collect());
    name("Arch", catalogue.archs.iter().map(|known| known.id).collect());
    name("LinkModel", catalogue.link_models.iter().map(|known| known.id).collect());
    name("PresetName", LINK_PRESETS.iter().map(|preset| preset.id).collect());
    name("PolynomialName", Polynomial::NAMED.iter().map(|known| known.name).collect());
    name("Ot", OtExtension::ALL.iter().map(|(word, _)| *word).collect());
    definitions["ModelTable"]["allOf"] = arch_rules(catalogue);
    definitions["LinkTable"]["allOf"] = transport_rules(catalogue);
    for table in ["ProtocolTable", "SlotsTable"] {
        definitions[table]["allOf"] = protocol_rules(catalogue);
    }
    schema
}

/// TOML has no null, and integers of one kind: an optional value is one that may be left out.
fn as_toml(schema: &mut Schema) {
    schema.remove("format");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
    choices.retain(|choice| choice["type"] != "null");
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        only.into_iter().for_each(|(key, value)| drop(schema.insert(key, value)));
    }
}

/// With one of `ids` under `key`, none of the keys `refused` may stand in the table.
fn refuse(key: &str, ids: Vec<&str>, refused: &[&str]) -> Value {
    let refused: serde_json::Map<_, _> = refused.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    json!({
        "if": { "properties": { key: { "enum": ids } }, "required": [key] },
        "then": { "properties": refused },
    })
}

/// Choices that only some architectures have.
fn arch_rules(catalogue: &Catalogue) -> Value {
    let without = |lacks: fn(&super::KnownArch) -> bool| {
        catalogue.archs.iter().filter(|known| lacks(known)).map(|known| known.id).collect()
    };
    let untrained: Vec<_> = without(|known| !known.trained);
    json!([
        refuse("arch", without(|known| known.pools.is_empty()), &["pool"]),
        refuse("arch", without(|known| known.shortcuts.is_empty()), &["shortcut"]),
        {
            "if": { "properties": { "arch": { "enum": untrained } }, "required": ["arch"] },
            "then": { "properties": { "weights": { "not": { "const": "trained" } } } },
        },
    ])
}

/// Windows and losses are for models that have them.
fn transport_rules(catalogue: &Catalogue) -> Value {
    let with: Vec<_> = catalogue.link_models.iter().filter(|known| known.transport).map(|known| known.id).collect();
    let refused: serde_json::Map<_, _> = TRANSPORT_KEYS.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    json!([{
        "if": { "properties": { "model": { "enum": with } }, "required": ["model"] },
        "else": { "properties": refused },
    }])
}

/// Polynomials are for their family, and a setting for the protocols that take it.
fn protocol_rules(catalogue: &Catalogue) -> Value {
    let relu = catalogue.protocols.iter().filter(|known| known.family == Family::Relu);
    let polynomials = refuse("id", relu.map(|known| known.id).collect(), &["polynomial", "precision_bits"]);
    let settings = Setting::ALL.map(|setting| {
        let others = catalogue.protocols.iter().filter(|known| !known.settings.contains(&setting));
        refuse("id", others.map(|known| known.id).collect(), &[setting.key()])
    });
    std::iter::once(polynomials).chain(settings).collect()
}
