//! How far an accepted message has come, as its provider reports it afterwards.
//!
//! Must not know any vendor's words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a delivery report says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// On its way.
    Underway,
    /// The handset got it, or the call was answered.
    Delivered,
    /// It will not arrive, or the call was not answered.
    Undelivered,
}

impl Delivery {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Underway, Self::Delivered, Self::Undelivered];

    /// The word used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Underway => "underway",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|delivery| delivery.as_str() == word)
    }

    /// Whether nothing can follow.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Underway => false,
            Self::Delivered | Self::Undelivered => true,
        }
    }

    /// Whether this is news after what is known. Reports come repeated and out of order: the first final one stands.
    pub fn is_news_after(self, known: Option<Self>) -> bool {
        match known {
            None => true,
            Some(known) => !known.is_final() && self.is_final(),
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Delivery::{Delivered, Undelivered, Underway};

    #[test]
    fn the_first_final_status_stands_and_none_comes_twice() {
        for (new, known, is_news) in [
            (Underway, None, true),
            (Delivered, None, true),
            (Undelivered, Some(Underway), true),
            (Delivered, Some(Underway), true),
            (Underway, Some(Underway), false),
            (Underway, Some(Delivered), false),
            (Delivered, Some(Delivered), false),
            (Undelivered, Some(Delivered), false),
            (Delivered, Some(Undelivered), false),
        ] {
            assert_eq!(new.is_news_after(known), is_news, "{new} after {known:?}");
        }
    }
}
