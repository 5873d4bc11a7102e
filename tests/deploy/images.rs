//! The images that examples and documents name: each is one that `release/images` builds, in the version of the workspace.

use crate::command::run;
use crate::harness::process::repository;
use std::process::Command;

/// The registry that the manifests name, and what docker-compose.yml has instead.
const REGISTRIES: [&str; 4] = [
    "registry.example.com/",
    "registry.example.org/portcullis/",
    "${PORTCULLIS_REGISTRY:-registry.example.com}/",
    "$PORTCULLIS_REGISTRY/",
];

/// The names that `release/images` packs.
fn built() -> Vec<String> {
    let script = std::fs::read_to_string(repository().join("release/images")).unwrap();
    let lines = script.lines().filter_map(|line| line.strip_prefix("pack "));
    lines
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

/// Each image of Portcullis in a text: its name, and its tag if it has one.
fn named(text: &str) -> Vec<(String, Option<String>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.${}:".contains(c);
    let mut found = Vec::new();
    for registry in REGISTRIES {
        for (at, _) in text.match_indices(registry) {
            let rest = text.get(at + registry.len()..).unwrap();
            let image: String = rest.chars().take_while(|c| is_part(*c)).collect();
            let image = image.trim_end_matches(['.', ':']);
            // The registry itself.
            if image.is_empty() {
                continue;
            }
            let (name, tag) = match image.split_once(':') {
                Some((name, tag)) => (name, Some(tag.to_owned())),
                None => (image, None),
            };
            found.push((name.to_owned(), tag));
        }
    }
    found
}

#[test]
fn each_image_is_built_here_and_of_this_version() {
    let built = built();
    assert!(built.iter().any(|name| name == "portcullis-installer"));
    let version = env!("CARGO_PKG_VERSION");
    let files = run(
        "git",
        &[
            "ls-files",
            "docs",
            "envoy",
            "examples",
            "charts",
            "release",
            "README.md",
        ],
    );
    let mut count = 0;
    for file in files.lines() {
        let Ok(text) = std::fs::read_to_string(repository().join(file)) else {
            continue;
        };
        for (name, tag) in named(&text) {
            assert!(
                built.contains(&name),
                "{file}: nothing builds the image {name}"
            );
            if let Some(tag) = tag {
                let tag = tag.strip_prefix("${PORTCULLIS_VERSION:-").unwrap_or(&tag);
                assert_eq!(tag.trim_end_matches('}'), version, "{file}: {name}");
            }
            count += 1;
        }
        // In kustomizations the tag has a line of its own.
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.contains("newName: registry.example.com/") {
                let tag = lines.next().unwrap().trim();
                assert_eq!(tag, format!("newTag: {version}"), "{file}: {line}");
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn one_variable_puts_a_registry_into_every_manifest() {
    let copy = tempfile::TempDir::new().unwrap();
    let manifests = [
        "istio-sidecar",
        "envoy-gateway",
        "kubernetes-sidecar",
        "kubernetes-fleet",
        "docker-compose",
    ];
    for example in manifests {
        let from = repository().join("examples").join(example);
        run(
            "cp",
            &["-r", from.to_str().unwrap(), copy.path().to_str().unwrap()],
        );
    }
    let status = Command::new(repository().join("examples/set-images"))
        .arg(copy.path())
        .env("PORTCULLIS_REGISTRY", "ghcr.example.net/shop/portcullis")
        .status()
        .unwrap();
    assert!(status.success());
    let read = |file| std::fs::read_to_string(copy.path().join(file)).unwrap();
    let image = format!(
        "ghcr.example.net/shop/portcullis/portcullis:{}\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(read("istio-sidecar/gateway.yaml").contains(&format!("url: oci://{image}")));
    assert!(read("docker-compose/envoy.Dockerfile").contains(&image));
    assert!(
        read("kubernetes-fleet/kustomization.yaml")
            .contains("newName: ghcr.example.net/shop/portcullis/portcullis-server\n")
    );
    let left = Command::new("grep")
        .args(["-r", "registry.example.com"])
        .arg(copy.path())
        .output()
        .unwrap();
    assert!(
        left.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&left.stdout)
    );
}
