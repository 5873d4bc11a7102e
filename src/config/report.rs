//! Collects the errors and warnings of one configuration. Owns no text.

use core::cell::Cell;

use super::error::{ConfigError, Problem};
use super::warning::{ConfigWarning, Notice};

/// The errors and warnings found so far. Shared by all readers, which run one after the other.
#[derive(Default)]
pub(super) struct Report {
    errors: Cell<Vec<ConfigError>>,
    warnings: Cell<Vec<ConfigWarning>>,
    n_errors: Cell<usize>,
}

impl Report {
    pub(super) fn error(&self, path: String, problem: Problem) {
        push(&self.errors, ConfigError { path, problem });
        self.n_errors.set(self.n_errors.get().saturating_add(1));
    }

    pub(super) fn warning(&self, path: String, notice: Notice) {
        push(&self.warnings, ConfigWarning { path, notice });
    }

    pub(super) fn n_errors(&self) -> usize {
        self.n_errors.get()
    }

    pub(super) fn into_lists(self) -> (Vec<ConfigError>, Vec<ConfigWarning>) {
        (self.errors.into_inner(), self.warnings.into_inner())
    }
}

fn push<T>(list: &Cell<Vec<T>>, item: T) {
    let mut items = list.take();
    items.push(item);
    list.set(items);
}
