//! Where in a configuration a scalar key is: `guard.widest_ipv4`, `apis[shop].mode`. Reads and writes the value; decides
//! nothing about it.

use serde_json::{Map, Value, json};

use super::scalars;
use crate::config_file::validate;
use crate::error::{Failure, Result};

/// The lists of objects, each with the keys that name an element.
const LISTS: [&str; 2] = ["apis", "feeds"];

/// The second spelling of a key, which a configuration may have instead.
const SECOND_SPELLINGS: [(&str, &str); 1] =
    [("abs_attack_request_minute", "abs_attack_request_minutes")];

/// A scalar key of one configuration.
#[derive(Debug)]
pub struct Target {
    /// The key as in the documentation, with `[]` for the element of a list.
    pub key: String,
    /// The list and the number of the element.
    element: Option<(&'static str, usize)>,
    /// The objects within, and the last key.
    sections: Vec<String>,
    last: String,
}

impl Target {
    /// Finds the key that a command names.
    pub fn find(configuration: &Map<String, Value>, words: &str) -> Result<Self> {
        let second = SECOND_SPELLINGS.iter().find(|(second, _)| *second == words);
        let words = second.map_or(words, |(_, first)| first);
        let (element, prefix, rest) = match split_element(words) {
            None => (None, String::new(), words),
            Some((list, name, rest)) => {
                let number = number_of(configuration, list, name)?;
                (Some((list, number)), format!("{list}[]."), rest)
            }
        };
        let key = format!("{prefix}{rest}");
        if !scalars::is_scalar(&key) {
            return Err(no_scalar(words, &key));
        }
        let mut sections: Vec<_> = rest.split('.').map(str::to_owned).collect();
        let last = sections.pop().unwrap_or_default();
        let mut target = Self {
            key,
            element,
            sections,
            last,
        };
        if let Some((second, _)) = SECOND_SPELLINGS.iter().find(|(_, first)| *first == words)
            && configuration.contains_key(*second)
        {
            target.last = (*second).to_owned();
        }
        Ok(target)
    }

    /// The value; `None` if the configuration does not have the key.
    pub fn get<'c>(&self, configuration: &'c Map<String, Value>) -> Option<&'c Value> {
        let mut object = match self.element {
            None => configuration,
            Some((list, number)) => configuration.get(list)?.get(number)?.as_object()?,
        };
        for section in &self.sections {
            object = object.get(section)?.as_object()?;
        }
        object.get(&self.last)
    }

    /// Sets the value, in sections that are created if missing.
    pub fn set(&self, configuration: &mut Map<String, Value>, value: Value) -> Result<()> {
        let mut object = match self.element {
            None => configuration,
            Some((list, number)) => {
                let element = configuration
                    .get_mut(list)
                    .and_then(|list| list.get_mut(number));
                element
                    .and_then(Value::as_object_mut)
                    .ok_or_else(|| no_object(list))?
            }
        };
        for section in &self.sections {
            let place = object.entry(section).or_insert(json!({}));
            if place.is_null() {
                *place = json!({});
            }
            object = place.as_object_mut().ok_or_else(|| no_object(section))?;
        }
        object.insert(self.last.clone(), value);
        Ok(())
    }

    /// The path as the loader's errors name it.
    pub fn path(&self) -> String {
        let mut path = match self.element {
            None => String::new(),
            Some((list, number)) => format!("{list}[{number}]."),
        };
        for section in &self.sections {
            path.push_str(section);
            path.push('.');
        }
        path + &self.last
    }
}

/// `apis[shop].mode` as the list, the element's name and the rest.
fn split_element(words: &str) -> Option<(&'static str, &str, &str)> {
    LISTS.into_iter().find_map(|list| {
        let rest = words.strip_prefix(list)?.strip_prefix('[')?;
        // A name may contain a bracket.
        let (name, rest) = rest.rsplit_once("].")?;
        Some((list, name, rest))
    })
}

/// The names of the elements of a list: `api_id` or host name and path of an API, `name` of a feed.
pub fn names(configuration: &Map<String, Value>, list: &str) -> Vec<String> {
    let elements = configuration.get(list).and_then(Value::as_array);
    let text = |element: &Value, key: &str| element.get(key)?.as_str().map(str::to_owned);
    let name = |element: &Value| match list {
        "apis" => text(element, "api_id").unwrap_or_else(|| {
            let part = |key, default: &str| text(element, key).unwrap_or(default.to_owned());
            part("hostname", "*") + &part("url", "/")
        }),
        _ => text(element, "name").unwrap_or_default(),
    };
    elements.into_iter().flatten().map(name).collect()
}

/// The number of the element with this name, or with this number.
pub fn number_of(configuration: &Map<String, Value>, list: &str, name: &str) -> Result<usize> {
    let names = names(configuration, list);
    let named = names.iter().position(|known| known == name);
    let numbered = || name.parse().ok().filter(|number| *number < names.len());
    named.or_else(numbered).ok_or_else(|| {
        let known = match names.is_empty() {
            true => "the list is empty".to_owned(),
            false => format!("known are {}, and their numbers from 0", names.join(", ")),
        };
        Failure::refused(format!("{list} has no element \"{name}\"; {known}"))
    })
}

fn no_object(section: &str) -> Failure {
    Failure::refused(format!(
        "{section} is not written as an object; see check_config"
    ))
}

/// Why a key can't be set or shown: the loader knows it as a list or an object, or names the nearest known key.
fn no_scalar(words: &str, key: &str) -> Failure {
    let mut configuration = json!({});
    let pointer = key.replace("[].", ".0.");
    let mut place = &mut configuration;
    for step in pointer.split('.') {
        if step == "0" {
            *place = json!([{}]);
            place = &mut place[0];
        } else {
            *place = json!({ step: {} });
            place = &mut place[step];
        }
    }
    *place = json!(0);
    let errors = validate(configuration.to_string().as_bytes()).err();
    let error = errors
        .into_iter()
        .flatten()
        .map(|error| error.to_string())
        .find(|error| error.contains("unknown key"));
    Failure::usage(match error {
        Some(error) => error,
        None => format!(
            "{words} is a list or an object; set and get take keys with one value, such as guard.widest_ipv4 or \
             apis[ID].mode; edit the file for others"
        ),
    })
}
