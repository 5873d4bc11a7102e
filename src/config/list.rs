//! The sections `allow_list` and `deny_list`: the shape of ABS's list, in canonical form.
//!
//! All values but addresses are secrets: no error shows one.

use super::ManualEntries;
use super::error::Errors;
use super::field::{read_names, read_ranges};
use super::raw::{Section, Value, texts};
use super::value;

pub(super) const LIST_KEYS: &[&str] = &["ips", "cookies", "oauth_tokens", "api_keys", "usernames"];

pub(super) fn read_list(root: &Section<'_>, key: &str, errors: &mut Errors) -> ManualEntries {
    const NAMED: &str = "an object from a cookie's name to the list of its values, such as {\"JSESSIONID\": [\"...\"]}";
    const API_KEYS_SHAPE: &str =
        "a list of API keys, or an object from a name to a list of API keys";
    let section = root.section(key, LIST_KEYS, errors);
    // ABS writes null for a kind without entries.
    let is_given = |key| !matches!(section.value(key), None | Some(Value::Null));
    let mut list = ManualEntries::default();
    if is_given("ips") {
        list.ips = read_ranges(&section, "ips", errors);
    }
    if is_given("cookies") {
        let cookies = section.map("cookies", NAMED, errors);
        for (typed_name, values) in cookies.entries() {
            match value::cookie_name(typed_name) {
                // Reported without the name: it may hold a value too.
                Err(problem) => errors.add(cookies.own_path(), problem),
                Ok(name) => texts(
                    cookies.path(typed_name),
                    values,
                    "a list of the cookie's values",
                    &mut |text| {
                        let value = value::cookie_value(text)?;
                        list.cookies.push((name.clone(), value));
                        Ok(())
                    },
                    errors,
                ),
            }
        }
    }
    if is_given("oauth_tokens") {
        let tokens = read_names(
            &section,
            "oauth_tokens",
            "a list of bearer tokens",
            value::oauth_token,
            errors,
        );
        list.oauth_tokens = tokens.unwrap_or_default();
    }
    if let Some(Value::Object(_)) = section.value("api_keys") {
        let api_keys = section.map("api_keys", API_KEYS_SHAPE, errors);
        for (name, _) in api_keys.entries() {
            let values = read_names(
                &api_keys,
                name,
                "a list of API keys",
                value::identifier_text,
                errors,
            );
            list.api_keys.extend(values.unwrap_or_default());
        }
    } else if is_given("api_keys") {
        let values = read_names(
            &section,
            "api_keys",
            API_KEYS_SHAPE,
            value::identifier_text,
            errors,
        );
        list.api_keys = values.unwrap_or_default();
    }
    if is_given("usernames") {
        let names = read_names(
            &section,
            "usernames",
            "a list of user names",
            value::identifier_text,
            errors,
        );
        list.usernames = names.unwrap_or_default();
    }
    list
}
