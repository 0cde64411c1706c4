//! The wire format of Protocol Buffers, read from a slice without copying.
//!
//! Written out because model files come from anywhere: every length is checked against what is there before anything is
//! allocated, and nothing recurses. Published readers of ONNX files allocate whatever a nested length says and descend
//! into subgraphs as deeply as a file likes.

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub &'static str);

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// The fields of a message, in order, with their numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Malformed("it ends inside a number"))?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("a number is longer than ten bytes"))
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).ok().filter(|&length| length <= self.rest.len());
        let length = length.ok_or(Malformed("it is truncated: a field is longer than what is left"))?;
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed("it ends inside a number"))?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>), Malformed> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.array()?),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.bytes(length)?)
            }
            5 => Wire::Fixed32(self.array()?),
            _ => return Err(Malformed("a field has an unknown type")),
        };
        match tag >> 3 {
            0 => Err(Malformed("a field has the number 0")),
            number => Ok((number, wire)),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Wire<'a> {
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed("a number stands where bytes should")),
        }
    }

    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("a name is not UTF-8"))
    }

    pub fn int(self) -> Result<i64, Malformed> {
        match self {
            Wire::Varint(value) => Ok(value as i64),
            _ => Err(Malformed("a field that should be an integer is not")),
        }
    }

    pub fn float(self) -> Result<f32, Malformed> {
        match self {
            Wire::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(Malformed("a field that should be a float is not")),
        }
    }

    /// Adds a repeated integer, packed or not.
    pub fn ints(self, values: &mut Vec<i64>) -> Result<(), Malformed> {
        let Wire::Bytes(packed) = self else {
            values.push(self.int()?);
            return Ok(());
        };
        let mut packed = Fields::new(packed);
        while !packed.rest.is_empty() {
            values.push(packed.varint()? as i64);
        }
        Ok(())
    }

    /// Adds a repeated float, packed or not.
    pub fn floats(self, values: &mut Vec<f32>) -> Result<(), Malformed> {
        match self {
            Wire::Bytes(packed) => {
                let (words, rest) = packed.as_chunks();
                values.extend(words.iter().map(|&word| f32::from_le_bytes(word)));
                if rest.is_empty() { Ok(()) } else { Err(Malformed("a list of floats ends inside one")) }
            }
            _ => {
                values.push(self.float()?);
                Ok(())
            }
        }
    }

    /// Adds a repeated double, packed or not, rounded to single precision.
    pub fn doubles(self, values: &mut Vec<f32>) -> Result<(), Malformed> {
        match self {
            Wire::Bytes(packed) => {
                let (words, rest) = packed.as_chunks();
                values.extend(words.iter().map(|&word| f64::from_le_bytes(word) as f32));
                if rest.is_empty() { Ok(()) } else { Err(Malformed("a list of doubles ends inside one")) }
            }
            Wire::Fixed64(word) => {
                values.push(f64::from_le_bytes(word) as f32);
                Ok(())
            }
            _ => Err(Malformed("a field that should be a double is not")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, Malformed> {
        Fields::new(message).collect()
    }

    #[test]
    fn reads_the_examples_of_the_specification() {
        // Field 1 is 150, field 2 is "testing".
        assert_eq!(fields(&[0x08, 0x96, 0x01]), Ok(vec![(1, Wire::Varint(150))]));
        let message = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(fields(&message), Ok(vec![(2, Wire::Bytes(b"testing"))]));
        // Field 4, packed: 3, 270, 86942.
        let mut values = Vec::new();
        let packed = fields(&[0x22, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05]).unwrap();
        packed[0].1.ints(&mut values).unwrap();
        assert_eq!(values, [3, 270, 86942]);
    }

    #[test]
    fn negative_integers_take_ten_bytes() {
        let message = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(fields(&message).unwrap()[0].1.int(), Ok(-1));
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        let huge = [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let cases: [&[u8]; 6] = [&huge, &[0x12, 2, 0], &[0x08], &[0x0d, 0, 0, 0], &[0x0b], &[0x00, 0x00]];
        for message in cases {
            assert!(fields(message).is_err(), "{message:?}");
        }
    }
}
