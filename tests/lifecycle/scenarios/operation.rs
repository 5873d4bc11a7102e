//! What an operator sees: the first line about a refused configuration, warnings, the result of the last fetch.

use log::Level;
use serde_json::json;

use super::abs::{Abs, ips};
use super::process::Process;
use super::*;
use crate::fake_host::Response;
use crate::secrets::secret;

#[test]
fn metrics_show_the_result_and_the_time_of_the_last_fetch() {
    let process = Process::new(2);
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"])).with_etags();
    let shown = || {
        let world = process.world();
        let [result, at] = ["fetch.last_result", "fetch.last_attempt_unix_seconds"];
        (
            world.metric(result),
            world.metric(at),
            world.unix().as_secs(),
        )
    };
    abs.hold();
    process.configure(&config());
    process.advance(seconds(2));
    assert_eq!((shown().0, shown().1), (0, 0), "none has ended yet");

    abs.serve();
    process.advance(seconds(60));
    abs.list(ips(&["192.0.2.2"]));
    let mut seen = Vec::new();
    for (name, response) in [
        ("a list", None),
        ("an unchanged list", None),
        ("a failure", Some(Response::new(503, ""))),
        ("a list again", None),
    ] {
        match response {
            Some(response) => abs.respond(response),
            None => abs.serve(),
        }
        let before = shown().1;
        process.advance_until(name, seconds(200), |_| shown().1 != before);
        let (result, at, now) = shown();
        assert!(now - at <= 1, "{name}: {at} is not {now}");
        seen.push((name, result));
    }
    assert_eq!(
        seen,
        [
            ("a list", 1),
            ("an unchanged list", 2),
            ("a failure", 3),
            ("a list again", 2)
        ]
    );

    process.configure(&config_with(json!({"enable_abs_attack": false})));
    process.advance(seconds(10));
    assert_eq!((shown().0, shown().1), (0, 0), "nobody fetches any more");
}

#[test]
fn the_first_line_about_a_refused_configuration_states_the_consequence() {
    let process = Process::new(1);
    let refused = process.try_configure(&json!({"enable_firewal": true, "when_stale": 1}));
    assert_eq!(refused.unwrap_err().len(), 2);
    let errors: Vec<_> = process
        .world()
        .logs()
        .into_iter()
        .filter(|(level, _)| *level == Level::Error)
        .map(|(_, line)| line)
        .collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert_eq!(
        errors[0],
        "the plugin configuration is refused, 2 error(s) below: the active one stays; if there is none, Envoy replies 500 to \
         every request"
    );
    assert!(errors[1].starts_with("configuration refused: enable_firewal: unknown key"));
}

#[test]
fn a_line_end_after_a_credential_causes_a_warning_and_is_not_sent() {
    let process = Process::new(1);
    let _abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    let key = secret("from-the-environment");
    process
        .world()
        .set_environment("ABS_ACCESS_KEY", &format!("{key}\n"));
    process
        .world()
        .set_environment("ABS_SECRET_KEY", "not:sent");
    process.configure(&config_with(json!({"abs": {"cluster": "abs"}})));
    process.advance(seconds(2));
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    let sent = process.world().sent();
    assert_eq!(sent[0].header("x-abs-ak"), Some(key.as_str()));
    assert_eq!(sent[0].header("x-abs-sk"), None);
    for message in [
        "configuration: abs.access_key_env: the white space (a line end, for example) around the value of the environment \
         variable ABS_ACCESS_KEY is ignored; remove it",
        "configuration: abs.secret_key_env: the environment variable ABS_SECRET_KEY is ignored: found the character \":\"; \
         allowed: a key of visible ASCII characters without \":\"",
    ] {
        let line = (Level::Warn, message.to_owned());
        assert!(process.world().logs().contains(&line), "{message}");
    }
}

#[test]
fn only_the_first_of_many_warnings_are_logged() {
    let process = Process::new(0);
    let users: Vec<_> = (0..100).map(|number| format!("user-{number} ")).collect();
    process.configure(&json!({"deny_list": {"usernames": users}}));
    let logs = process.world().logs();
    let warnings: Vec<_> = logs
        .iter()
        .filter(|(level, _)| *level == Level::Warn)
        .collect();
    let more = "configuration: 90 more warning(s); portcullis check_config shows all";
    let n_vms = warnings.iter().filter(|(_, line)| line == more).count();
    assert!(n_vms > 0, "{logs:?}");
    assert_eq!(warnings.len(), 11 * n_vms);
}
