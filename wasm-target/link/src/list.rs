//! The lists of exports and imports: one name a line, a reason after `#`.

/// The names of a list, in its order.
pub fn parse(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split_once('#').map_or(line, |(name, _)| name).trim())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reasons_and_empty_lines_are_no_names() {
        let text = "# why\n\nmemory  # the host reads it\n  proxy_on_tick\n";
        assert_eq!(super::parse(text), ["memory", "proxy_on_tick"]);
    }
}
