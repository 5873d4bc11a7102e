//! A request's headers, as lines `name: value` of any bytes, read by the rules of several APIs.

use std::collections::BTreeSet;

use portcullis::config::{Api, Config};
use portcullis::identifier::{
    ClientIdentifier, FingerprintKey, IdentifierKind, PerKind, parse_source_address,
};
use portcullis::request::{
    RequestHeaders, host_name, path_matches, select_api, visit_apis, visit_identifiers,
    visit_readings,
};

const APIS: &str = r#"{"apis": [
    {"api_id": "shop", "hostname": "api.example.com", "url": "/shop", "cookie": ["sid", "JSESSIONID"],
     "username": [{"basic_auth": true}, {"header": "x-user"}, {"jwt_claim": "sub"}, {"jwt_claim": "n"}]},
    {"api_id": "six", "hostname": "[2001:db8::1]", "url": "/v", "apikey_header": ["x-key", "cookie"]},
    {"api_id": "rest"}
]}"#;

const KEY: FingerprintKey = FingerprintKey::from_words([3, 4]);

const ALL: PerKind<bool> = PerKind {
    ip: true,
    cookie: true,
    oauth_token: true,
    api_key: true,
    username: true,
    header: true,
    token_claims: true,
};

pub fn request(data: &[u8]) {
    let config = Config::parse(APIS.as_bytes(), &|_| None).expect("valid");
    let lines: Vec<(&[u8], &[u8])> = data
        .split(|byte| *byte == b'\n')
        .map(|line| {
            // A pseudo-header's name begins with the separator.
            let colon = line.iter().skip(1).position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.map_or(line.len(), |at| at + 1));
            let value = value.strip_prefix(b":").unwrap_or(value);
            (name, value.strip_prefix(b" ").unwrap_or(value))
        })
        .collect();
    let mut headers = RequestHeaders::default();
    for (name, value) in &lines {
        headers.add(name, value);
    }
    if let Some(address) = parse_source_address(data) {
        let _ = KEY.ip(address);
    }
    assert!(host_name(headers.authority()).len() <= headers.authority().len());

    let api = select_api(&config.apis, headers.authority(), headers.path());
    assert!(path_matches(&api.url, headers.path()));
    let mut is_first = true;
    visit_apis(
        &config.apis,
        headers.authority(),
        headers.path(),
        &mut |other| {
            assert!(!is_first || other == api);
            is_first = false;
        },
    );
    for api in config.apis.iter() {
        let api = Api {
            scope_headers: ["cf-ipcountry", "x-key"].map(str::to_owned).to_vec(),
            token_claims: [&["jti"][..], &["sub", "n", "aud"]]
                .map(|claims| claims.iter().map(ToString::to_string).collect())
                .to_vec(),
            ..api.clone()
        };
        check(&api, &lines, &headers, data.len());
    }
    let shown = format!("{headers:?}");
    assert_eq!(
        shown,
        format!("RequestHeaders({}, redacted)", lines.len()),
        "headers are never printed"
    );
}

fn check(api: &Api, lines: &[(&[u8], &[u8])], headers: &RequestHeaders, length: usize) {
    let all = identifiers(api, headers, ALL, length);
    let mut one_by_one = BTreeSet::new();
    for kind in IdentifierKind::ALL {
        let mut wanted = PerKind::default();
        *wanted.get_mut(kind) = true;
        let of_kind = identifiers(api, headers, wanted, length);
        assert!(of_kind.iter().all(|(of, _)| *of == kind));
        one_by_one.extend(of_kind);
    }
    assert_eq!(all, one_by_one);

    let mut readings = BTreeSet::new();
    visit_readings(api, headers, ALL, &mut |identifier| {
        readings.insert((identifier.kind(), identifier.fingerprint(&KEY).0));
    });
    // A longer text with white space is reported, but is not a token in the readings.
    if length <= 1024 {
        assert!(all.is_subset(&readings), "what is reported is judged");
    }

    // A listed identifier can't hide behind a clean one at any position.
    let clean: [(&[u8], &[u8]); 5] = [
        (b"cookie", b"sid=clean"),
        (b"authorization", b"Bearer clean"),
        (b"x-api-key", b"clean"),
        (b"x-user", b"clean"),
        (b"cf-ipcountry", b"clean"),
    ];
    let at = length % (lines.len() + 1);
    let mut more = RequestHeaders::default();
    for (name, value) in lines[..at].iter().chain(&clean).chain(&lines[at..]) {
        more.add(name, value);
    }
    let with_more = identifiers(api, &more, ALL, length + 64);
    assert!(all.is_subset(&with_more));
}

fn identifiers(
    api: &Api,
    headers: &RequestHeaders,
    wanted: PerKind<bool>,
    length: usize,
) -> BTreeSet<(IdentifierKind, u64)> {
    let mut found = BTreeSet::new();
    visit_identifiers(api, headers, wanted, &mut |identifier: ClientIdentifier<
        '_,
    >| {
        // The number 1e308 of a claim has 309 digits, and `.0`.
        let longest = length.max(311);
        let check = |value: &[u8]| assert!(!value.is_empty() && value.len() <= longest);
        match identifier {
            ClientIdentifier::Cookie { value, .. }
            | ClientIdentifier::OauthToken(value)
            | ClientIdentifier::ApiKey(value)
            | ClientIdentifier::Username(value)
            | ClientIdentifier::Header { value, .. } => check(value),
            ClientIdentifier::TokenClaims(claims) => {
                assert!(!claims.is_empty());
                claims.iter().for_each(|(_, value)| check(value));
            }
            ClientIdentifier::Ip(_) => panic!("headers carry no address"),
        }
        let fingerprint = identifier.fingerprint(&KEY);
        assert_eq!(fingerprint.kind(), Some(identifier.kind()));
        found.insert((identifier.kind(), fingerprint.0));
    });
    found
}
