//! The name of this process, Envoy's `node.id`. The ABI does not have it, so it is read where Envoy reads it: on the
//! command line, and in the bootstrap that the command line names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use saphyr::{LoadableYamlNode, Yaml};

/// The node id of this Envoy; `None` if it has none, or if its bootstrap is in another format than YAML or JSON.
pub fn id() -> Option<&'static str> {
    static ID: OnceLock<Option<String>> = OnceLock::new();
    let id = ID.get_or_init(|| {
        let arguments = std::fs::read("/proc/self/cmdline").unwrap_or_default();
        let arguments: Vec<_> = arguments.split(|byte| *byte == 0).collect();
        of_command_line(&arguments)
    });
    id.as_deref()
}

/// In the order in which Envoy lets one override another.
fn of_command_line(arguments: &[&[u8]]) -> Option<String> {
    let argument = |names: &[&str]| {
        let value = argument(arguments, names);
        value.filter(|value| !value.is_empty())
    };
    if let Some(id) = argument(&["--service-node"]) {
        return String::from_utf8(id.to_vec()).ok();
    }
    let inline = argument(&["--config-yaml"]).and_then(of_bootstrap);
    inline.or_else(|| {
        let path = argument(&["-c", "--config-path"])?;
        of_bootstrap(&std::fs::read(OsStr::from_bytes(path)).ok()?)
    })
}

/// The value of an argument: the next one, or what follows `=`.
fn argument<'a>(arguments: &[&'a [u8]], names: &[&str]) -> Option<&'a [u8]> {
    arguments.iter().enumerate().find_map(|(index, argument)| {
        names
            .iter()
            .find_map(|name| match argument.strip_prefix(name.as_bytes())? {
                [] => arguments.get(index.checked_add(1)?).copied(),
                [b'=', value @ ..] => Some(value),
                _ => None,
            })
    })
}

/// `node.id` of a bootstrap.
fn of_bootstrap(text: &[u8]) -> Option<String> {
    let documents = Yaml::load_from_str(core::str::from_utf8(text).ok()?).ok()?;
    let node = documents.first()?.as_mapping_get("node")?;
    let id = node.as_mapping_get("id")?.as_str()?;
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Option<String> {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| argument.as_bytes())
            .collect();
        of_command_line(&arguments)
    }

    #[test]
    fn the_command_line_names_the_node() {
        assert_eq!(of(&["envoy", "--service-node", "a"]).as_deref(), Some("a"));
        assert_eq!(
            of(&["envoy", "--service-node=b", "-l", "info"]).as_deref(),
            Some("b")
        );
        assert_eq!(of(&["envoy", "--service-node"]), None);
        assert_eq!(of(&["envoy", "--service-node-other", "c"]), None);
    }

    #[test]
    fn the_bootstrap_names_the_node() {
        let inline = ["envoy", "--config-yaml", "node: { id: \"c\", cluster: x }"];
        assert_eq!(of(&inline).as_deref(), Some("c"));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("envoy.yaml");
        std::fs::write(&path, "admin: {}\nnode:\n  cluster: x\n  id: d\n").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(of(&["envoy", "-c", path]).as_deref(), Some("d"));
        assert_eq!(
            of(&["envoy", "--config-path", path, "--service-node", "e"]).as_deref(),
            Some("e")
        );
        assert_eq!(of(&["envoy", "-c", "/does/not/exist"]), None);
        assert_eq!(of(&["envoy", "--config-yaml", "node: {"]), None);
    }
}
