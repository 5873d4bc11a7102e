//! Decimal text of floating-point numbers. Uses the libraries of `serde_json`: the conversions of the standard library would
//! add 30 KB to the module.

use super::json::{self, Scalar};

/// The shortest text that identifies the number: `7.0`, `12.5`, `1e+30`.
pub fn text(number: f64) -> String {
    zmij::Buffer::new().format(number).to_owned()
}

/// As [`text()`], but `7` for 7.0.
pub fn short_text(number: f64) -> String {
    let text = text(number);
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// The number that a JSON number is (RFC 8259, 6).
pub fn parse(text: &str) -> Option<f64> {
    let mut number = None;
    let outcome = json::read_scalar(text.as_bytes(), &mut |value| {
        number = match value {
            Scalar::Unsigned(number) => Some(number as f64),
            Scalar::Negative(number) => Some(number as f64),
            Scalar::Float(number) => Some(number),
            _ => None,
        };
    });
    number.filter(|_| outcome.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn numbers_have_the_shortest_text() {
        for (number, long, short) in [
            (7.0, "7.0", "7"),
            (12.5, "12.5", "12.5"),
            (-0.1, "-0.1", "-0.1"),
            (1e30, "1e+30", "1e+30"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!((&*text(number), &*short_text(number)), (long, short));
        }
    }

    #[test]
    fn json_numbers_are_parsed() {
        assert_eq!(parse("12.5"), Some(12.5));
        assert_eq!(parse("-3"), Some(-3.0));
        for text in ["inf", "", "[1.5]", "\"1.5\""] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("1.5x"), None);
    }
}
