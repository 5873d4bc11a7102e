//! Lines of the log, on standard error. Decides nothing about what is logged.
//!
//! A log that can't be written, such as a closed pipe or a full disk, must stop nothing: `eprintln!` panics then.

/// Writes a line, formatted as by `format!`.
macro_rules! log_line {
    ($($arguments:tt)*) => {
        $crate::output::print_error(&format!($($arguments)*))
    };
}
