//! The filter files: one for each filter, in the directory of `--filters`. The files are the truth.
//!
//! A file that changes is validated by the filter's own loader and served at once. One that is not valid changes nothing:
//! the last valid one goes on being served, after a restart too, because a copy of it is kept.

mod served;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::{Value, json};

use self::served::difference_of;
pub use self::served::{Served, etag_of, read_file, version_of};
use super::changes::Changes;
use super::problem::Problem;
use super::seen::{Seen, see};
use super::state_file;
use crate::config_file::atomic_file;
use crate::error::{Failure, Result};

/// What to do if a filter's file is not there; a client of the API does not know the server's options.
pub const MISSING_FILE: &str = "restore it in the directory of the filters on the server; until then its last valid content is served";

/// The filter files of one directory.
#[derive(Debug)]
pub struct Filters {
    directory: PathBuf,
    state: PathBuf,
    filters: RwLock<BTreeMap<String, Filter>>,
    /// Held while files are read, so that no older content replaces a newer one. Whether the directory could be read.
    refreshing: Mutex<bool>,
}

/// One filter.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The name of the file without its extension: the resource's name in Envoy's configuration.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// The last valid configuration; none if there never was one.
    pub served: Option<Arc<Served>>,
    /// Why the file as it is now is not served.
    pub problem: Option<Value>,
    /// What the file looked like when it was read, and any other file of this name; none if there is no file.
    seen: Vec<Seen>,
}

impl Filters {
    /// Reads the files of a directory.
    ///
    /// # Errors
    ///
    /// The directory can't be read, or nothing can be written to `state`.
    pub fn open(directory: &Path, state: &Path) -> Result<Self> {
        let listed = fs::read_dir(directory);
        listed.map_err(|error| {
            Failure::usage(format!(
                "the directory {} can't be read: {error}; --filters DIR names the directory with the filter files",
                directory.display()
            ))
        })?;
        let state = state.join("filters");
        let writable =
            fs::create_dir_all(&state).and_then(|()| tempfile::tempfile_in(&state).map(drop));
        writable.map_err(|error| {
            Failure::usage(format!(
                "nothing can be written to {}: {error}; --state DIR names a directory for the last valid files and lists",
                state.display()
            ))
        })?;
        state_file::clean(&state);
        let filters = Self {
            directory: directory.to_owned(),
            state,
            filters: RwLock::default(),
            refreshing: Mutex::new(true),
        };
        filters.load_state()?;
        filters.refresh(&Changes::default());
        Ok(filters)
    }

    /// Each filter, by its name.
    pub fn list(&self) -> Vec<Filter> {
        self.read(|filters| filters.values().cloned().collect())
    }

    /// The filter with this name.
    pub fn get(&self, name: &str) -> std::result::Result<Filter, String> {
        self.read(|filters| {
            filters.get(name).cloned().ok_or_else(|| {
                let names: Vec<_> = filters.keys().map(String::as_str).collect();
                let names = match names.is_empty() {
                    true => "none; put a file into the directory of --filters".to_owned(),
                    false => names.join(", "),
                };
                format!("there is no filter \"{}\"; there is: {names}", shown(name))
            })
        })
    }

    /// What is served for the filter with this name.
    pub fn served(&self, name: &str) -> std::result::Result<Arc<Served>, String> {
        let filter = self.get(name)?;
        filter.served.ok_or_else(|| {
            format!("the filter \"{name}\" has never had a valid file; see the log of the server")
        })
    }

    /// Reads the files that changed.
    pub fn refresh(&self, changes: &Changes) {
        let mut was_readable = self
            .refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let files = match self.files() {
            Ok(files) => files,
            // The directory is away, perhaps for a moment: a mount, or a replaced ConfigMap.
            Err(error) => {
                if std::mem::replace(&mut *was_readable, false) {
                    let directory = self.directory.display().to_string();
                    let message = format!(
                        "the directory {directory} can't be read: {error}; the last valid files are served until it can"
                    );
                    changes.record(&directory, &message, false);
                }
                return;
            }
        };
        *was_readable = true;
        for (name, found) in &files {
            self.refresh_one(name, found, changes);
        }
        let missing: Vec<Filter> = self.read(|filters| {
            let missing = filters
                .values()
                .filter(|one| !files.contains_key(&one.name));
            missing
                .filter(|one| !one.seen.is_empty() || one.problem.is_none())
                .cloned()
                .collect()
        });
        for filter in missing {
            let message = format!(
                "{} does not exist: its last valid content is served until the file returns; to end that, delete {} and \
                 restart the server",
                filter.file.display(),
                self.copy_of(&filter.name).display(),
            );
            changes.record(&filter.file.display().to_string(), &message, false);
            self.set(Filter {
                problem: Some(json!({ "error": message })),
                seen: Vec::new(),
                ..filter
            });
        }
    }

    /// Replaces the text of a filter's file, if it has the entity tag `if_match`. `who` is for the audit line.
    ///
    /// # Errors
    ///
    /// The filter would refuse the text, the file has another entity tag, or the system refused. The file is unchanged.
    pub fn replace(
        &self,
        name: &str,
        if_match: &str,
        text: &str,
        who: &str,
        changes: &Changes,
    ) -> std::result::Result<Arc<Served>, Problem> {
        use axum::http::StatusCode;
        let filter = self
            .get(name)
            .map_err(|message| Problem::new(StatusCode::NOT_FOUND, message))?;
        // Of several files none is served: a change of one would have no effect.
        if filter.seen.len() > 1
            && let Some(json) = filter.problem
        {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Problem { status, json });
        }
        let new = read_file(name, &filter.file, text.to_owned())?;
        let mut conflict = None;
        let mut difference = String::new();
        atomic_file::update(&filter.file, MISSING_FILE, |old| {
            if if_match != "*" && etag_of(&old) != if_match {
                conflict = Some(etag_of(&old));
                return Ok((None, ()));
            }
            difference = difference_of(&filter.file, name, &old, &new);
            Ok((Some(text.to_owned()), ()))
        })?;
        if conflict.is_some() {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                format!(
                    "the file of the filter \"{name}\" was changed meanwhile; read it again and repeat the change"
                ),
            ));
        }
        changes.record(who, &format!("{name}: {difference}"), true);
        self.refresh(changes);
        self.served(name)
            .map_err(|message| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, message))
    }

    /// The files of the directory, by the names of their filters.
    fn files(&self) -> std::io::Result<BTreeMap<String, Vec<PathBuf>>> {
        let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            let name = path.file_stem().and_then(|name| name.to_str());
            if let (Some(name), Some("json" | "yaml" | "yml")) = (name, extension)
                && !name.starts_with('.')
            {
                files.entry(name.to_owned()).or_default().push(path);
            }
        }
        files.values_mut().for_each(|paths| paths.sort());
        Ok(files)
    }

    fn refresh_one(&self, name: &str, found: &[PathBuf], changes: &Changes) {
        let Some(file) = found.first() else { return };
        let seen: Vec<Seen> = found.iter().filter_map(|path| see(path)).collect();
        let known = self.read(|filters| filters.get(name).cloned());
        // A link that leads nowhere looks like no file; it is reported once.
        if let Some(known) = &known
            && (!known.seen.is_empty() || known.problem.is_some())
            && known.seen == seen
            && known.file == *file
        {
            return;
        }
        let before = known.as_ref().and_then(|known| known.served.clone());
        let read = match found {
            [_] => {
                atomic_file::read(file, MISSING_FILE).and_then(|text| read_file(name, file, text))
            }
            several => {
                let names: Vec<_> = several
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                Err(Failure::refused(format!(
                    "several files hold the filter \"{name}\" ({}); delete all but one",
                    names.join(", ")
                )))
            }
        };
        let who = file.display().to_string();
        let (served, problem) = match read {
            Ok(served) => {
                let same = before
                    .as_ref()
                    .is_some_and(|before| before.text == served.text);
                let served = match before {
                    Some(before) if same => before,
                    _ => Arc::new(served),
                };
                if !same {
                    changes.record(
                        &who,
                        &format!("{name} is now served as version {}", served.version),
                        true,
                    );
                }
                let copy = self.copy_of(name);
                let kept = state_file::read(&copy).ok().flatten();
                if kept.is_none_or(|kept| kept != served.text.as_bytes())
                    && let Err(error) = state_file::write(&copy, served.text.as_bytes())
                {
                    log_line!(
                        "portcullis serve: {} can't be written: {error}; after a restart an older configuration could be served",
                        copy.display()
                    );
                }
                (Some(served), None)
            }
            Err(failure) => {
                changes.record(&who, &failure.message, false);
                (before, Some(failure.json))
            }
        };
        self.set(Filter {
            name: name.to_owned(),
            file: file.clone(),
            served,
            problem,
            seen,
        });
    }

    /// Reads the copies of the last valid files.
    fn load_state(&self) -> Result<()> {
        let failed = |error: std::io::Error| {
            Failure::refused(format!("{} can't be read: {error}", self.state.display()))
        };
        for entry in fs::read_dir(&self.state).map_err(failed)? {
            let copy = entry.map_err(failed)?.path();
            let name = copy.file_name().and_then(|name| name.to_str());
            let Some(name) = name.filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let file = self.directory.join(format!("{name}.json"));
            let text = state_file::read(&copy).map_err(|error| error.to_string());
            let text = text.and_then(|bytes| {
                String::from_utf8(bytes.unwrap_or_default()).map_err(|error| error.to_string())
            });
            let served = text
                .and_then(|text| read_file(name, &file, text).map_err(|failure| failure.message));
            match served {
                Ok(served) => self.set(Filter {
                    name: name.to_owned(),
                    file,
                    served: Some(Arc::new(served)),
                    problem: None,
                    seen: Vec::new(),
                }),
                Err(error) => log_line!(
                    "portcullis serve: the copy {} is not used: {error}",
                    copy.display()
                ),
            }
        }
        Ok(())
    }

    /// The copy of the last valid file of a filter, JSON or YAML.
    fn copy_of(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<String, Filter>) -> T) -> T {
        read(&self.filters.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, filter: Filter) {
        let mut filters = self.filters.write().unwrap_or_else(PoisonError::into_inner);
        filters.insert(filter.name.clone(), filter);
    }
}

/// A name from outside, for a message.
fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}
