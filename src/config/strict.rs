//! A value of the tree as serde reads it: whole numbers and switches are what they are typed as.
//!
//! Must not know any setting. config itself rounds a fraction and takes `true` for 1: a weight of 0.4 would be 0, and
//! switch a provider off. Numbers and switches may be texts all the same, as an environment variable writes them.

use std::fmt;

use config::{ConfigError, Value, ValueKind};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// A value that is not turned into something else to fit.
pub(super) struct Strict(pub(super) Value);

impl Strict {
    /// The value as config reads it, of no origin: that would end up in the middle of a rule.
    fn loose(self) -> Value {
        Value::new(None, self.0.kind)
    }

    /// A whole number from zero to `most`.
    fn whole(&self, most: impl Into<u64>) -> Result<u64, ConfigError> {
        let most = most.into();
        let number = match &self.0.kind {
            ValueKind::I64(number) => Some(i128::from(*number)),
            ValueKind::U64(number) => Some(i128::from(*number)),
            ValueKind::I128(number) => Some(*number),
            ValueKind::U128(number) => i128::try_from(*number).ok(),
            ValueKind::String(text) => text.trim().parse().ok(),
            ValueKind::Nil
            | ValueKind::Boolean(_)
            | ValueKind::Float(_)
            | ValueKind::Table(_)
            | ValueKind::Array(_) => None,
        };
        let number = number.ok_or_else(|| ConfigError::custom("must be a whole number"))?;
        if number < 0 {
            return Err(ConfigError::custom("must be a whole number, not below 0"));
        }
        let fits = u64::try_from(number).ok().filter(|number| *number <= most);
        fits.ok_or_else(|| ConfigError::custom(format_args!("must be a whole number of at most {most}")))
    }
}

impl<'de> Deserializer<'de> for Strict {
    type Error = ConfigError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        match self.0.kind {
            ValueKind::Table(table) => {
                visitor.visit_map(MapDeserializer::new(table.into_iter().map(|(key, value)| (key, Strict(value)))))
            }
            ValueKind::Array(list) => visitor.visit_seq(SeqDeserializer::new(list.into_iter().map(Strict))),
            // Not by config: it would bring a second reader of every table for each type of setting.
            ValueKind::Nil => visitor.visit_unit(),
            ValueKind::Boolean(value) => visitor.visit_bool(value),
            ValueKind::I64(value) => visitor.visit_i64(value),
            ValueKind::I128(value) => visitor.visit_i128(value),
            ValueKind::U64(value) => visitor.visit_u64(value),
            ValueKind::U128(value) => visitor.visit_u128(value),
            ValueKind::Float(value) => visitor.visit_f64(value),
            ValueKind::String(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        match self.0.kind {
            ValueKind::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        visitor.visit_enum(self.loose().into_string()?.into_deserializer())
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_string(self.loose().into_string()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let switch = match &self.0.kind {
            ValueKind::Boolean(value) => Some(*value),
            ValueKind::String(text) => Value::from(text.trim()).into_bool().ok(),
            _ => None,
        };
        visitor.visit_bool(switch.ok_or_else(|| ConfigError::custom("must be true or false"))?)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_u64(self.whole(u8::MAX)?)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_u64(self.whole(u16::MAX)?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_u64(self.whole(u32::MAX)?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_u64(self.whole(u64::MAX)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let number = match &self.0.kind {
            ValueKind::Boolean(_) => None,
            ValueKind::String(text) => text.trim().parse().ok(),
            _ => self.loose().into_float().ok(),
        };
        visitor.visit_f64(number.ok_or_else(|| ConfigError::custom("must be a number"))?)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 f32 char seq bytes byte_buf map struct unit identifier ignored_any unit_struct tuple_struct
        tuple
    }
}

impl IntoDeserializer<'_, ConfigError> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl fmt::Debug for Strict {
    /// The value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Strict(…)")
    }
}
