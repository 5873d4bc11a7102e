//! Usage metrics of CrowdSec's local API: the path and the body of `POST /v1/usage-metrics`. Makes no call.

use core::time::Duration;

/// The numbers of one report.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Requests, whatever their verdict.
    pub processed: u64,
    /// Requests that the feed denied.
    pub dropped: u64,
    /// The time in which they came.
    pub window: Duration,
    /// The time of the report, since the Unix epoch.
    pub unix_now: Duration,
    /// When the component started, since the Unix epoch.
    pub unix_start: Duration,
}

/// The path of the call, for a feed with this path. A server that serves the decisions under a prefix is expected to do so
/// with the usage metrics.
pub fn request_path(feed_path: &str) -> String {
    let without_query = feed_path.split('?').next().unwrap_or_default();
    let prefix = without_query.strip_suffix("/v1/decisions/stream");
    [prefix.unwrap_or_default(), "/v1/usage-metrics"].concat()
}

impl Usage {
    /// The body of the call, for a feed that asks for decisions of these origins.
    ///
    /// Entries have no origin in the filter. `dropped` has the label `origin` only if the feed asks for exactly one; `cscli
    /// metrics` shows numbers without an origin only in its totals.
    pub fn to_json(self, origins: &[String]) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let origin = match origins {
            [origin] => {
                // Strings can always be serialized.
                let origin = serde_json::to_string(origin).unwrap_or_default();
                ["\"origin\":", &origin, ","].concat()
            }
            _ => String::new(),
        };
        let Self {
            processed, dropped, ..
        } = self;
        let [window, now, start] =
            [self.window, self.unix_now, self.unix_start].map(|time| time.as_secs());
        // LAPI requires a name and a version of the operating system; the filter can't read the version.
        format!(
            "{{\"remediation_components\":[{{\"type\":\"portcullis\",\"version\":\"{version}\",\
             \"os\":{{\"name\":\"linux\",\"version\":\"unknown\",\"family\":\"linux\"}},\"feature_flags\":[],\
             \"utc_startup_timestamp\":{start},\
             \"metrics\":[{{\"meta\":{{\"window_size_seconds\":{window},\"utc_now_timestamp\":{now}}},\"items\":[\
             {{\"name\":\"processed\",\"value\":{processed},\"unit\":\"request\"}},\
             {{\"name\":\"dropped\",\"value\":{dropped},\"unit\":\"request\",\
             \"labels\":{{{origin}\"remediation\":\"ban\"}}}}]}}]}}]}}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const USAGE: Usage = Usage {
        processed: u64::MAX,
        dropped: 3,
        window: Duration::from_millis(900_250),
        unix_now: Duration::from_secs(1_795_428_930),
        unix_start: Duration::from_secs(1_795_428_000),
    };

    #[test]
    fn the_body_is_that_of_the_contract() {
        let expected = concat!(
            r#"{"remediation_components":[{"type":"portcullis","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#"","os":{"name":"linux","version":"unknown","family":"linux"},"feature_flags":[],"#,
            r#""utc_startup_timestamp":1795428000,"metrics":[{"#,
            r#""meta":{"window_size_seconds":900,"utc_now_timestamp":1795428930},"items":["#,
            r#"{"name":"processed","value":18446744073709551615,"unit":"request"},"#,
            r#"{"name":"dropped","value":3,"unit":"request","labels":{"remediation":"ban"}}]}]}]}"#,
        );
        assert_eq!(USAGE.to_json(&[]), expected);
        let two = ["crowdsec", "cscli"].map(str::to_owned);
        assert_eq!(USAGE.to_json(&two), expected, "no origin is known");
    }

    #[test]
    fn the_only_origin_is_a_label() {
        for origin in ["CAPI", "a\"b\\c\u{e9}"] {
            let json = USAGE.to_json(&[origin.to_owned()]);
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let labels = &json["remediation_components"][0]["metrics"][0]["items"][1]["labels"];
            let expected = serde_json::json!({"origin": origin, "remediation": "ban"});
            assert_eq!(*labels, expected);
        }
    }

    #[test]
    fn the_path_has_the_prefix_of_the_feed() {
        for (feed, path) in [
            ("/v1/decisions/stream", "/v1/usage-metrics"),
            ("/lapi/v1/decisions/stream?x=y", "/lapi/v1/usage-metrics"),
            ("/other", "/v1/usage-metrics"),
        ] {
            assert_eq!(request_path(feed), path);
        }
    }
}
