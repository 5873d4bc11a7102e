//! The tokens of the roles: where they come from, which are refused, and whether a text is one of them.
//!
//! Only their hashes are kept in memory.

use std::io::Read as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::super::seen::{Seen, see};
use super::Role;
use crate::args::AccessArgs;
use crate::config_file::regular;

/// The shortest token: 16 random characters can't be guessed.
const SHORTEST: usize = 16;

/// The longest token.
const LONGEST: usize = 1024;

/// A token's SHA-256. Hashes have one length, so a comparison in constant time reveals nothing of the token's either.
#[derive(Clone, Copy)]
pub struct Token([u8; 32]);

impl Token {
    /// The hash of a text that can be a token.
    pub fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Whether both are the same token, in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The hash, as key for what is derived from the token.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The tokens; a role without one is open.
#[derive(Clone, Copy, Default)]
pub struct Tokens {
    pub operator: Option<Token>,
    pub reader: Option<Token>,
    pub node: Option<Token>,
}

impl Tokens {
    /// The token of a role.
    pub fn of(&self, role: Role) -> Option<&Token> {
        match role {
            Role::Operator => self.operator.as_ref(),
            Role::Reader => self.reader.as_ref(),
            Role::Node => self.node.as_ref(),
        }
    }
}

/// Where the tokens come from.
pub struct Sources([Source; 3]);

struct Source {
    role: Role,
    option: &'static str,
    variable: &'static str,
    file: Option<PathBuf>,
    value: Option<Vec<u8>>,
}

impl Sources {
    /// The files of the command line, and for a role without one its environment variable.
    pub fn new(args: &AccessArgs, environment: impl Fn(&str) -> Option<Vec<u8>>) -> Self {
        let source = |role, option, variable, file: &Option<PathBuf>| Source {
            role,
            option,
            variable,
            file: file.clone(),
            value: environment(variable),
        };
        Self([
            source(
                Role::Operator,
                "--operator-token-file",
                "PORTCULLIS_OPERATOR_TOKEN",
                &args.operator_token_file,
            ),
            source(
                Role::Reader,
                "--read-token-file",
                "PORTCULLIS_READ_TOKEN",
                &args.read_token_file,
            ),
            source(
                Role::Node,
                "--node-token-file",
                "PORTCULLIS_NODE_TOKEN",
                &args.node_token_file,
            ),
        ])
    }

    /// Reads the tokens.
    ///
    /// # Errors
    ///
    /// A token can't be read, can't be one, or is that of two roles. The message names the place, never the token.
    pub fn read(&self) -> Result<Tokens, String> {
        let [operator, reader, node] = &self.0;
        let tokens = Tokens {
            operator: operator.read()?,
            reader: reader.read()?,
            node: node.read()?,
        };
        let pairs = [(operator, reader), (operator, node), (reader, node)];
        for (one, other) in pairs {
            if let (Some(first), Some(second)) = (tokens.of(one.role), tokens.of(other.role))
                && first.is(second)
            {
                return Err(format!(
                    "{} and {} hold the same token; each role needs its own",
                    one.place(),
                    other.place()
                ));
            }
        }
        Ok(tokens)
    }

    /// What the files look like now; it changes when a file is replaced or edited.
    pub fn seen(&self) -> Vec<Option<Seen>> {
        let files = self.0.iter().filter_map(|source| source.file.as_deref());
        files.map(see).collect()
    }

    /// How to give the roles that have no token one.
    pub fn missing(&self, tokens: &Tokens) -> Vec<String> {
        let missing = self.0.iter().filter(|one| tokens.of(one.role).is_none());
        missing
            .map(|one| format!("{} FILE or {}", one.option, one.variable))
            .collect()
    }
}

impl Source {
    fn read(&self) -> Result<Option<Token>, String> {
        let mut text = Vec::new();
        match (&self.file, &self.value) {
            (Some(file), _) => {
                // One character more than allowed, and a line end.
                let limit = u64::try_from(LONGEST).unwrap_or_default().saturating_add(3);
                regular::open(file)
                    .and_then(|file| file.take(limit).read_to_end(&mut text))
                    .map_err(|error| format!("{} can't be read: {error}", self.place()))?;
            }
            (None, Some(value)) => text.clone_from(value),
            (None, None) => return Ok(None),
        }
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        let token = line.strip_suffix(b"\r").unwrap_or(line);
        let wrong = |problem: &str| {
            Err(format!(
                "the token in {} {problem}; allowed are {SHORTEST} to {LONGEST} visible ASCII characters on one line, such \
                 as the output of: openssl rand -hex 32",
                self.place()
            ))
        };
        match token.len() {
            0 => wrong("is empty"),
            length if length < SHORTEST => wrong(&format!("has {length} characters")),
            length if length > LONGEST => wrong("is too long"),
            _ if !token.iter().all(u8::is_ascii_graphic) => {
                wrong("has a space, a control character or a character outside of ASCII")
            }
            _ => Ok(Some(Token::of(token))),
        }
    }

    fn place(&self) -> String {
        match &self.file {
            Some(file) => file.display().to_string(),
            None => format!("the environment variable {}", self.variable),
        }
    }
}
