//! The last line of an SMS that binds the code to a site, so that a browser offers it there and nowhere else.
//!
//! Must not know what stands above it. Source: WICG "Origin-bound one-time codes delivered via SMS".

use crate::otp::{OtpCode, Text};

/// Writes the line for one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WebOtp {
    host: Box<str>,
}

impl WebOtp {
    /// The site with this host name; `None` when it is no host name alone.
    pub(super) fn parse(host: &str) -> Option<Self> {
        let fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label of digits alone makes an IP address, which no code can be bound to.
        let numeric = host.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        let is_name = host.len() <= 253 && host.split('.').all(fits) && !numeric;
        is_name.then(|| Self { host: host.to_ascii_lowercase().into() })
    }

    /// The text with the line at its end, once.
    pub(super) fn bind(&self, text: &Text, code: &OtpCode) -> Text {
        let line = format!("@{} #{}", self.host, code.expose());
        let said = text.expose().trim_end();
        if said.lines().next_back() == Some(line.as_str()) {
            return text.clone();
        }
        Text::new(format!("{said}\n\n{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_stands_last_and_once() {
        let webotp = WebOtp::parse("Login.Example.com").expect("a host");
        let code = OtpCode::parse("048291").expect("digits");
        let bound = "Your code is 048291.\n\n@login.example.com #048291";
        for (text, expected) in [
            ("Your code is 048291.", bound.to_owned()),
            ("Your code is 048291.\n", bound.to_owned()),
            (bound, bound.to_owned()),
            ("@login.example.com #048291", "@login.example.com #048291".to_owned()),
            ("at @login.example.com #048291", "at @login.example.com #048291\n\n@login.example.com #048291".to_owned()),
            ("048291\n@other.com #048291", "048291\n@other.com #048291\n\n@login.example.com #048291".to_owned()),
        ] {
            assert_eq!(webotp.bind(&Text::new(text.to_owned()), &code).expose(), expected, "{text:?}");
        }
    }

    #[test]
    fn only_a_host_name_is_taken() {
        for good in ["example.com", "a-b.example.co.uk", "localhost", "xn--mnchen-3ya.de", "1.example"] {
            assert!(WebOtp::parse(good).is_some(), "{good}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for bad in [
            "",
            " example.com",
            "https://example.com",
            "example.com/login",
            "example.com:443",
            "@example.com",
            "example.com.",
            "a..b",
            "-a.com",
            "münchen.de",
            "192.0.2.1",
            "[::1]",
            &long,
        ] {
            assert!(WebOtp::parse(bad).is_none(), "{bad}");
        }
    }
}
