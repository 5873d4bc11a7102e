//! The section `abs`, and what it shares with `traffic`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "abs.cluster missing for enable_abs",
        r#"{"enable_abs": true, "traffic": {"format": "batch"}}"#,
        &[
            "abs.cluster: missing; enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off",
        ],
    ),
    (
        "traffic.format missing for enable_abs",
        r#"{"enable_abs": true, "abs": {"cluster": "abs"}, "traffic": {"gzip": true}}"#,
        &[
            "traffic.format: missing; enable_abs needs it: \"sideband\" sends to ASE's sideband interface (name ASE's cluster in traffic.cluster), \"batch\" sends to a receiver of your own at traffic.path; or turn enable_abs off",
        ],
    ),
    (
        "traffic.cluster and traffic.authority",
        r#"{"traffic": {"cluster": "", "authority": "ase example"}}"#,
        &[
            "traffic.cluster: found an empty string; allowed: one or more visible ASCII characters, without spaces",
            r#"traffic.authority: found the character " "; allowed: one or more visible ASCII characters, without spaces"#,
        ],
    ),
    (
        "abs.cluster missing for enable_abs_attack",
        r#"{"enable_abs_attack": true, "abs": {"authority": "abs.example.com"}}"#,
        &[
            "abs.cluster: missing; enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off",
        ],
    ),
    (
        "abs.cluster empty, abs.authority with a space",
        r#"{"enable_abs": true, "abs": {"cluster": "", "authority": "abs example"}, "traffic": {"format": "batch"}}"#,
        &[
            "abs.cluster: found an empty string; allowed: one or more visible ASCII characters, without spaces",
            r#"abs.authority: found the character " "; allowed: one or more visible ASCII characters, without spaces"#,
        ],
    ),
    (
        "abs.cluster of another type is not missing too",
        r#"{"enable_abs": true, "abs": {"cluster": 1}, "traffic": {"format": "batch"}}"#,
        &[
            r#"abs.cluster: found a number; allowed: the name of the Envoy cluster of ABS, such as "abs""#,
        ],
    ),
    (
        "abs of another type: the cluster is not missing too",
        r#"{"enable_abs": true, "abs": [], "traffic": {"format": "batch"}}"#,
        &["abs: found a list; allowed: an object with named values, { }"],
    ),
    (
        "keys with a colon",
        r#"{"abs": {"access_key": "SECRET:1", "secret_key": "SECRET:2"}}"#,
        &[
            r#"abs.access_key: found the character ":"; allowed: a key of visible ASCII characters without ":""#,
            r#"abs.secret_key: found the character ":"; allowed: a key of visible ASCII characters without ":""#,
        ],
    ),
    (
        "keys with a line break, of another type",
        r#"{"abs": {"access_key": "SECRET\nSECRET", "secret_key": 12345}}"#,
        &[
            r#"abs.access_key: found the character "\n"; allowed: a key of visible ASCII characters without ":""#,
            "abs.secret_key: found a number; allowed: a string; or omit it and set the environment variable",
        ],
    ),
    (
        "keys that are empty or not ASCII",
        r#"{"abs": {"access_key": "", "secret_key": "SECRETü"}}"#,
        &[
            r#"abs.access_key: found an empty string; allowed: a key of visible ASCII characters without ":""#,
            r#"abs.secret_key: found the character "ü"; allowed: a key of visible ASCII characters without ":""#,
        ],
    ),
    (
        "invalid variable names",
        r#"{"abs": {"access_key_env": "SECRET KEY", "secret_key_env": ""}}"#,
        &[
            r#"abs.access_key_env: found the character " "; allowed: the name of an environment variable (letters, digits and underscores), such as "ABS_ACCESS_KEY""#,
            r#"abs.secret_key_env: found an empty string; allowed: the name of an environment variable (letters, digits and underscores), such as "ABS_ACCESS_KEY""#,
        ],
    ),
    (
        "values that are blank in canonical form",
        r#"{"deny_list": {"oauth_tokens": ["\"\""], "api_keys": ["+"], "usernames": ["\""]}}"#,
        &[
            "deny_list.oauth_tokens[0]: found a string of white space, quotes and plus signs only; allowed: a string that is not empty and has no line break and no NUL",
            "deny_list.api_keys[0]: found a string of white space, quotes and plus signs only; allowed: a string that is not empty and has no line break and no NUL",
            "deny_list.usernames[0]: found a string of white space, quotes and plus signs only; allowed: a string that is not empty and has no line break and no NUL",
        ],
    ),
    (
        "a token with a space",
        r#"{"traffic": {"ase_token": "SECRET SECRET"}}"#,
        &[
            r#"traffic.ase_token: found the character " "; allowed: one or more visible ASCII characters, without spaces"#,
        ],
    ),
];
