//! The sections `allow_list` and `deny_list`: the shape of ABS's list, in canonical form.
//!
//! All values but addresses are secrets: no error shows one.
//!
//! A manual list is compiled in one go, by every worker that gets the configuration, so its size is bounded: at these
//! bounds a worker of a real Envoy is held for less than 5 ms.

use super::ManualEntries;
use super::error::{Errors, Problem};
use super::field::{read_names, read_ranges};
use super::raw::{Section, Value, texts};
use super::value;

pub(super) const LIST_KEYS: &[&str] = &["ips", "cookies", "oauth_tokens", "api_keys", "usernames"];

/// Entries of both lists together.
const MOST_ENTRIES: usize = 5_000;
/// Bytes of the values of both lists together, names of cookies among them.
const MOST_BYTES: usize = 256 << 10;
/// Names in one map from names to values: each is compared with every other.
const MOST_NAMES: usize = 250;

/// Refuses manual lists that would hold a worker too long.
pub(super) fn check_size(
    root: &Section<'_>,
    lists: [(&str, &ManualEntries); 2],
    errors: &mut Errors,
) {
    const ALLOWED: &str = "5000 entries and 256 KB of values in allow_list and deny_list together, which a worker takes \
                           up within 5 ms; longer lists belong on ABS's attack list, which is taken up piece by piece \
                           (enable_abs_attack)";
    let [(first, one), (second, two)] = lists;
    let n_entries = one.n_entries().saturating_add(two.n_entries());
    let n_bytes = one.n_bytes().saturating_add(two.n_bytes());
    if n_entries > MOST_ENTRIES || n_bytes > MOST_BYTES {
        let longer = match one.n_bytes() > two.n_bytes() {
            true => first,
            false => second,
        };
        let noun = if n_entries == 1 { "entry" } else { "entries" };
        let found = format!("{n_entries} {noun} with {n_bytes} bytes of values in both lists");
        root.report(longer, Problem::refused(&found, ALLOWED), errors);
    }
}

fn check_names(map: &Section<'_>, errors: &mut Errors) {
    const ALLOWED: &str = "at most 250 names";
    let n_names = map.entries().len();
    if n_names > MOST_NAMES {
        let found = format!("{n_names} names");
        errors.add(map.own_path(), Problem::refused(&found, ALLOWED));
    }
}

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
        check_names(&cookies, errors);
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
        check_names(&api_keys, errors);
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
