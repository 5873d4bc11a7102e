//! Rejected configurations, with the whole text of all errors.

mod abs;
mod apis;
mod feeds;
mod lists;
mod other;
mod types;

/// Name, configuration, errors. Text that must not be shown contains `SECRET`.
pub(super) type Case = (&'static str, &'static str, &'static [&'static str]);

pub(super) fn cases() -> impl Iterator<Item = &'static Case> {
    let tables = [
        types::CASES,
        abs::CASES,
        apis::CASES,
        lists::CASES,
        feeds::CASES,
        other::CASES,
    ];
    tables.into_iter().flatten()
}
