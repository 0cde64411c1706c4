//! `[[protocol]]`: the activation protocols and the functions they compute.

use serde::Serialize;

use super::catalogue::{self, Catalogue, Family, KnownProtocol};
use super::error::ScenarioError;
use super::sections::{PROTOCOL, SLOTS};
use super::table::{Names, Table, Value};
use crate::protocol::activation::{Setting, Settings};
use crate::protocol::ot::OtExtension;
use crate::protocol::{Function, Polynomial};

/// A column of the comparison: the protocol of every activation slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Protocol {
    /// What results call it; unique.
    pub name: String,
    /// The protocol of the slots that `slots` does not name.
    #[serde(flatten)]
    pub choice: Choice,
    /// Other choices for some slots; the last one that fits a slot holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<SlotChoice>,
}

/// An activation protocol, set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Id in the registry.
    pub id: String,
    /// What it computes in place of ReLU; `None` for a protocol that computes ReLU.
    pub polynomial: Option<Polynomial>,
    /// Whether the polynomial also replaces a network's own.
    #[serde(skip)]
    pub replaces: bool,
    /// What else is set.
    #[serde(flatten)]
    pub settings: Settings,
}

/// A choice for some slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlotChoice {
    /// Which.
    pub at: At,
    /// How they are computed.
    #[serde(flatten)]
    pub choice: Choice,
}

/// Activation slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// By number, from 0 in the order of the network.
    Slots(Vec<usize>),
    /// All in which the network was trained with ReLU or ReLU6.
    Relu,
    /// All in which the network was trained with a polynomial.
    Polynomial,
}

impl At {
    /// Whether a slot is among them.
    pub fn includes(&self, slot: usize, native: &Function) -> bool {
        match (self, native) {
            (At::Slots(slots), _) => slots.contains(&slot),
            (At::Relu, Function::Relu | Function::Relu6) | (At::Polynomial, Function::Polynomial(_)) => true,
            _ => false,
        }
    }
}

/// What a protocol of the polynomial family computes unless stated.
const DEFAULT_POLYNOMIAL: &str = "relu-d4";

impl Protocol {
    /// The choice for one slot of a network, and the function it computes there: a polynomial protocol keeps a
    /// network's own polynomial and puts the scenario's in place of ReLU; another keeps the network's function.
    pub fn choice(&self, slot: usize, native: &Function) -> (&Choice, Function) {
        let named = self.slots.iter().rev().find(|choice| choice.at.includes(slot, native));
        let choice = named.map_or(&self.choice, |named| &named.choice);
        let function = match (&choice.polynomial, native) {
            (Some(_), Function::Polynomial(_)) if !choice.replaces => native.clone(),
            (Some(polynomial), _) => Function::Polynomial(polynomial.clone()),
            (None, native) => native.clone(),
        };
        (choice, function)
    }
}

pub(super) fn read(top: &Table<'_>, catalogue: &Catalogue) -> Result<Vec<Protocol>, ScenarioError> {
    let mut names = Names::default();
    let mut protocol = |table: &Table<'_>| {
        let at = table.require("id", "id = \"fused\"")?;
        let choice = choice(table, catalogue, false)?;
        let at = table.get("name").unwrap_or(at);
        let name = at.label()?;
        names.claim(name, &at)?;
        let slots = match table.get("slots") {
            Some(_) => table.entries("slots", &SLOTS)?,
            None => Vec::new(),
        };
        let slots = slots.iter().map(|table| slot_choice(table, catalogue)).collect::<Result<_, _>>()?;
        Ok(Protocol { name: name.to_owned(), choice, slots })
    };
    let tables = top.entries("protocol", &PROTOCOL)?;
    tables.iter().map(&mut protocol).collect()
}

fn choice(table: &Table<'_>, catalogue: &Catalogue, of_slots: bool) -> Result<Choice, ScenarioError> {
    let at = table.require("id", "id = \"fused\"")?;
    let id = at.text()?;
    let Some(known) = catalogue.protocols.iter().find(|known| known.id == id) else {
        let ids: Vec<_> = catalogue.protocols.iter().map(|known| known.id).collect();
        return Err(at.unknown_word(id, &ids));
    };
    Ok(Choice {
        id: id.to_owned(),
        polynomial: match known.family {
            Family::Polynomial => Some(polynomial(table)?),
            Family::Relu => no_polynomial(table, id, catalogue)?,
        },
        replaces: of_slots && table.get("polynomial").is_some(),
        settings: settings(table, known, catalogue)?,
    })
}

fn slot_choice(table: &Table<'_>, catalogue: &Catalogue) -> Result<SlotChoice, ScenarioError> {
    let at = table.require("at", "at = [0, 1]")?;
    let at = match at.as_text() {
        Some(_) => match at.word(&[("relu", Family::Relu), ("polynomial", Family::Polynomial)])? {
            Family::Relu => At::Relu,
            Family::Polynomial => At::Polynomial,
        },
        None => {
            let numbers = at.list()?;
            if numbers.is_empty() {
                return Err(at.error("the list is empty", "name slots, for example at = [0, 1], or remove the section"));
            }
            let slot = |number: &Value<'_>| Ok(number.integer(0..=100_000)? as usize);
            At::Slots(numbers.iter().map(slot).collect::<Result<_, _>>()?)
        }
    };
    Ok(SlotChoice { at, choice: choice(table, catalogue, true)? })
}

/// The settings that the protocol takes; one that it does not take is an error.
fn settings(table: &Table<'_>, protocol: &KnownProtocol, catalogue: &Catalogue) -> Result<Settings, ScenarioError> {
    let mut settings = Settings::default();
    for setting in Setting::ALL {
        let Some(value) = table.get(setting.key()) else { continue };
        if !protocol.settings.contains(&setting) {
            let takers = catalogue.protocols.iter().filter(|known| known.settings.contains(&setting));
            let ids: Vec<_> = takers.map(|known| known.id).collect();
            return Err(value.error(
                format!("\"{}\" takes no `{}`", protocol.id, setting.key()),
                format!("remove it; protocols that take it: {}", ids.join(", ")),
            ));
        }
        match setting {
            Setting::WireBits => settings.width = Some(wire_bits(&value)?),
            Setting::Width => settings.width = Some(value.integer(8..=64)? as u32),
            Setting::Ot => settings.ot = Some(value.word(OtExtension::ALL)?),
        }
    }
    Ok(settings)
}

fn wire_bits(value: &Value<'_>) -> Result<u32, ScenarioError> {
    match value.integer(8..=64)? {
        bits if bits % 8 == 0 => Ok(bits as u32),
        bits => Err(value.error(format!("{bits} bits are not whole bytes"), "write a multiple of 8, for example 48")),
    }
}

/// A protocol that computes ReLU takes no polynomial.
fn no_polynomial(table: &Table<'_>, id: &str, catalogue: &Catalogue) -> Result<Option<Polynomial>, ScenarioError> {
    let keys = ["polynomial", "precision_bits"];
    let Some(value) = keys.into_iter().find_map(|key| table.get(key)) else {
        return Ok(None);
    };
    let of_polynomials = catalogue.protocols.iter().filter(|known| known.family == Family::Polynomial);
    let ids: Vec<_> = of_polynomials.map(|known| known.id).collect();
    Err(value.error(
        format!("\"{id}\" computes ReLU and takes no polynomial"),
        format!("remove it; polynomial protocols: {}", ids.join(", ")),
    ))
}

fn polynomial(table: &Table<'_>) -> Result<Polynomial, ScenarioError> {
    let value = table.get("polynomial");
    let precision = table.get("precision_bits");
    let name = match &value {
        None => Some(DEFAULT_POLYNOMIAL),
        Some(value) => value.as_text(),
    };
    let Some(name) = name else {
        let precision_bits = precision
            .map_or(Ok(u64::from(Polynomial::DEFAULT_PRECISION_BITS)), |precision| precision.integer(1..=30))?;
        let value = value.expect("without a value there is the default name");
        return explicit(&value, precision_bits as u32);
    };
    if let Some(precision) = precision {
        return Err(precision
            .error(format!("the polynomial \"{name}\" has a fixed precision"), "remove it, or list the coefficients"));
    }
    Polynomial::named(name).ok_or_else(|| {
        let names: Vec<_> = Polynomial::NAMED.iter().map(|entry| entry.name).collect();
        let value = value.expect("the default name is known");
        value.error(
            format!("\"{name}\" is unknown"),
            format!("{}; or list the coefficients, constant first", catalogue::known(name, &names)),
        )
    })
}

fn explicit(value: &Value<'_>, precision_bits: u32) -> Result<Polynomial, ScenarioError> {
    let elements = value.list()?;
    let coefficients: Result<Vec<_>, _> = elements.iter().map(Value::float).collect();
    Polynomial::from_floats(&coefficients?, precision_bits).map_err(|error| {
        value.error(error.to_string(), "list the coefficients, constant first, for example [0.1992, 0.5002, 0.1997]")
    })
}
