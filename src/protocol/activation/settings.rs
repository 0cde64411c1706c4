//! What a scenario may set for a protocol besides its function.

use crate::protocol::ot::OtExtension;
use serde::Serialize;

/// Settings of one protocol in one scenario; what is not set has the protocol's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Bits of the ring in which the protocol reads its input: `|y| < 2^(width - 2)`, at most 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// How oblivious transfers are extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ot: Option<OtExtension>,
}

/// One setting, as the registry lists what a protocol takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// [`Settings::width`] under the key `wire_bits`: the protocol opens values of that many bits.
    WireBits,
    /// [`Settings::width`] under the key `width`: the protocol compares values of that many bits.
    Width,
    /// [`Settings::ot`] under the key `ot`.
    Ot,
}

impl Setting {
    /// Every setting.
    pub const ALL: [Setting; 3] = [Setting::WireBits, Setting::Width, Setting::Ot];

    /// The key in `[[protocol]]`.
    pub fn key(self) -> &'static str {
        match self {
            Setting::WireBits => "wire_bits",
            Setting::Width => "width",
            Setting::Ot => "ot",
        }
    }
}

impl Settings {
    /// Bits of the ring in which the input is read.
    pub fn width(&self) -> u32 {
        self.width.unwrap_or(64)
    }

    /// How oblivious transfers are extended.
    pub fn ot(&self) -> OtExtension {
        self.ot.unwrap_or_default()
    }
}
