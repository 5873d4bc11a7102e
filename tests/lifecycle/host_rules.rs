use portcullis::host::{HostError, SharedData, WriteCondition};

use crate::fake_host::World;
use crate::secrets::secret;

const KEY: &str = "k";

fn cas(host: &dyn SharedData) -> u32 {
    host.shared_data(KEY).unwrap().unwrap().cas
}

#[test]
fn a_compare_and_set_number_is_ignored_if_the_key_is_absent() {
    let host = World::new(1).new_vm();
    assert_eq!(host.shared_data(KEY), Ok(None));
    let written = host.set_shared_data(KEY, b"1", WriteCondition::Unchanged(77));
    assert_eq!(written, Ok(()));
    assert_eq!(host.shared_data(KEY).unwrap().unwrap().bytes, b"1");
}

#[test]
fn a_present_value_is_replaced_only_with_its_number_or_unconditionally() {
    let host = World::new(1).new_vm();
    let write = |condition| host.set_shared_data(KEY, b"x", condition);
    assert_eq!(write(WriteCondition::Absent), Ok(()));
    assert_eq!(write(WriteCondition::Absent), Err(HostError::CasMismatch));
    let first = cas(&host);
    assert_eq!(write(WriteCondition::Unchanged(first)), Ok(()));
    assert_ne!(cas(&host), first);
    assert_eq!(
        write(WriteCondition::Unchanged(first)),
        Err(HostError::CasMismatch)
    );
    assert_eq!(write(WriteCondition::Always), Ok(()));
    // A key can't be deleted: an empty value keeps it.
    assert_eq!(
        host.set_shared_data(KEY, b"", WriteCondition::Always),
        Ok(())
    );
    assert_eq!(write(WriteCondition::Absent), Err(HostError::CasMismatch));
}

#[test]
fn shared_data_belongs_to_one_process() {
    let world = World::new(1);
    let (one, other) = (world.new_vm(), world.new_vm());
    one.set_shared_data(KEY, b"1", WriteCondition::Always)
        .unwrap();
    assert_eq!(other.shared_data(KEY).unwrap().unwrap().bytes, b"1");
    assert_eq!(World::new(1).new_vm().shared_data(KEY), Ok(None));
}

#[test]
fn secrets_are_found_in_plain_text_and_in_base64() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let found = |bytes: &[u8]| {
        let world = World::new(1);
        world.inspect("here", bytes);
        world.leaks().len() == 1
    };
    for before in ["", "a", "ab", "abc", "user:"] {
        let text = format!("{before}{}", secret("name"));
        assert!(found(text.as_bytes()));
        assert!(found(STANDARD.encode(&text).as_bytes()), "{before}");
        assert!(
            found(format!("Basic {}", URL_SAFE_NO_PAD.encode(&text)).as_bytes()),
            "{before}"
        );
    }
    assert!(!found(b"denied abs oauth_token"));
}
