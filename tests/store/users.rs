//! Users come and go; their PINs and conference IDs with them.

use anteroom::credentials::rows::{Enabling, NewPin, NewUser};
use anteroom::credentials::{
    AuditEntry, AuditLine, AuditPage, Enabled, Page, StoreError, Timestamp, UserChange, UserDetails,
};
use anteroom::words::answer::{LobbyPolicy, PinAnswer};

use super::{DAY, HOUR, Place, admin, enable, find, identity, key_of, not, on_all_rows, on_each_store, try_pin};

crate::stories! {
    a_user_comes_goes_and_comes_back
    a_reset_pin_works_at_once_and_for_its_owner_only
    the_length_setting_is_for_pins_made_later
    a_new_conference_id_takes_over_and_the_pin_stays
    lists_are_in_order_searched_and_paged
    retired_conference_ids_rest_for_ninety_days
}

async fn a_user_comes_goes_and_comes_back(place: Place) {
    on_each_store(place, |store, clock| async move {
        assert!(!store.has_users().await.unwrap());
        let (user, pin) = enable(&store, "Anna@Example.com", None).await;
        let first_id = user.conference_id.unwrap();
        assert_eq!(user.identity.as_str(), "anna@example.com");
        assert_eq!(pin.len(), 5);
        assert!(user.enabled && !user.allow_anonymous_start && user.lobby_policy == LobbyPolicy::Open);

        let conference = find(&store, first_id).await.unwrap();
        assert_eq!(conference.organizer, user.key);
        assert_eq!(conference.organizer_identity, "anna@example.com");
        assert_eq!(try_pin(&store, conference.key, &pin, "+1").await, PinAnswer::Right);
        assert_eq!(try_pin(&store, conference.key, &not(&pin), "+1").await, PinAnswer::Wrong);

        // Twice changes nothing, and is no line in the audit.
        let other = UserDetails { name: "Another Name".to_owned(), email: None };
        let again = store.enable_user(&admin(), &user.identity, &other, None).await.unwrap();
        assert!(matches!(again, Enabled::Already { user: same } if same == user));
        assert_eq!(store.audit(&AuditPage::newest(10)).await.unwrap().len(), 1);

        let change = UserChange {
            name: Some("Anna Ångström".to_owned()),
            allow_anonymous_start: Some(true),
            lobby_policy: Some(LobbyPolicy::WaitForAdmission),
            ..UserChange::default()
        };
        let changed = store.change_user(&admin(), &user.identity, &change).await.unwrap();
        assert_eq!(changed.name, "Anna Ångström");
        let conference = find(&store, first_id).await.unwrap();
        assert!(conference.allow_anonymous_start && conference.lobby_policy == LobbyPolicy::WaitForAdmission);

        clock.advance(HOUR);
        let disabled = store.disable_user(&admin(), &user.identity, None).await.unwrap();
        assert!(!disabled.enabled && disabled.conference_id.is_none() && disabled.pin_set_at.is_none());
        assert_eq!(find(&store, first_id).await, None, "refused at once");
        assert_eq!(
            try_pin(&store, conference.key, &pin, "+1").await,
            PinAnswer::Wrong,
            "whoever is still on the line too"
        );
        assert_eq!(
            store.reset_pin(&admin(), &user.identity, None).await.unwrap_err(),
            StoreError::NotEnabled(user.identity.clone())
        );
        assert_eq!(
            store.reset_conference_id(&admin(), &user.identity, None).await.unwrap_err(),
            StoreError::NotEnabled(user.identity.clone())
        );
        assert_eq!(
            store.disable_user(&admin(), &user.identity, None).await.unwrap_err(),
            StoreError::NotEnabled(user.identity.clone())
        );
        assert!(store.has_users().await.unwrap(), "he was there once");

        // Back, with a new ID and PIN, and what he was allowed.
        let (back, new_pin) = enable(&store, "anna@example.com", None).await;
        assert_eq!((back.key, back.name.as_str()), (user.key, "Anna Ångström"));
        assert!(back.allow_anonymous_start);
        assert_ne!(back.conference_id.unwrap(), first_id);
        let key = key_of(&store, &back).await;
        assert_ne!(key, conference.key, "a conference key is never used again");
        assert_eq!(try_pin(&store, key, &new_pin, "+1").await, PinAnswer::Right);

        let nobody = identity("nobody@example.com");
        assert_eq!(store.user(&nobody).await.unwrap_err(), StoreError::NoUser(nobody.clone()));
        assert_eq!(store.reset_pin(&admin(), &nobody, None).await.unwrap_err(), StoreError::NoUser(nobody.clone()));
        assert_eq!(store.disable_user(&admin(), &nobody, None).await.unwrap_err(), StoreError::NoUser(nobody.clone()));
        assert_eq!(store.change_user(&admin(), &nobody, &change).await.unwrap_err(), StoreError::NoUser(nobody));

        let audit: Vec<_> =
            store.audit(&AuditPage::newest(10)).await.unwrap().into_iter().map(|entry| entry.action).collect();
        assert_eq!(audit, ["user.enable", "user.disable", "user.set", "user.enable"]);
        assert_eq!(store.audit(&AuditPage::newest(1)).await.unwrap().len(), 1);
    })
    .await;
}

async fn a_reset_pin_works_at_once_and_for_its_owner_only(place: Place) {
    on_each_store(place, |store, _| async move {
        let (anna, annas) = enable(&store, "anna@example.com", None).await;
        let (bob, bobs) = enable(&store, "bob@example.com", None).await;
        let (anna_key, bob_key) = (key_of(&store, &anna).await, key_of(&store, &bob).await);
        let (after, new) = store.reset_pin(&admin(), &anna.identity, None).await.unwrap();
        assert_eq!(after.conference_id, anna.conference_id);
        assert_eq!(try_pin(&store, anna_key, &new, "+1").await, PinAnswer::Right);
        if annas != new {
            assert_eq!(try_pin(&store, anna_key, &annas, "+1").await, PinAnswer::Wrong);
        }
        if bobs != new {
            assert_eq!(try_pin(&store, bob_key, &new, "+1").await, PinAnswer::Wrong, "of another user");
        }
        assert_eq!(try_pin(&store, bob_key, &bobs, "+1").await, PinAnswer::Right);

        // Two administrators at once: two PINs, the last one holds, both are audited.
        let actor = admin();
        let (one, two) =
            tokio::join!(store.reset_pin(&actor, &bob.identity, None), store.reset_pin(&actor, &bob.identity, None));
        let (one, two) = (one.unwrap().1, two.unwrap().1);
        let right = [try_pin(&store, bob_key, &one, "+2").await, try_pin(&store, bob_key, &two, "+2").await];
        let rights = right.iter().filter(|answer| **answer == PinAnswer::Right).count();
        assert_eq!(rights, if one == two { 2 } else { 1 });
        let resets = |entries: Vec<AuditLine>| entries.iter().filter(|e| e.action == "user.reset-pin").count();
        assert_eq!(resets(store.audit(&AuditPage::newest(10)).await.unwrap()), 3);
    })
    .await;
}

async fn the_length_setting_is_for_pins_made_later(place: Place) {
    on_each_store(place, |store, _| async move {
        let (anna, short) = enable(&store, "anna@example.com", None).await;
        for wrong in ["3", "13", "x"] {
            assert!(matches!(store.set_setting(&admin(), "pin_length", wrong).await, Err(StoreError::Setting(_))));
        }
        store.set_setting(&admin(), "pin_length", "12").await.unwrap();
        store.set_setting(&admin(), "allow_anonymous_start", "true").await.unwrap();
        assert_eq!(store.settings().await.unwrap().pin_length, 12);
        assert_eq!(try_pin(&store, key_of(&store, &anna).await, &short, "+1").await, PinAnswer::Right);
        let (bob, long) = enable(&store, "bob@example.com", None).await;
        assert_eq!(long.len(), 12);
        assert!(bob.allow_anonymous_start && !store.user(&anna.identity).await.unwrap().allow_anonymous_start);
        assert_eq!(store.reset_pin(&admin(), &anna.identity, None).await.unwrap().1.len(), 12);
        let audit = store.audit(&AuditPage::newest(1)).await.unwrap();
        assert_eq!(audit[0].actor, admin());
        let set = store
            .audit(&AuditPage::newest(10))
            .await
            .unwrap()
            .into_iter()
            .find(|entry| entry.subject == "pin_length")
            .unwrap();
        assert_eq!((set.action.as_str(), set.detail.as_str()), ("settings.set", "12"));
    })
    .await;
}

async fn a_new_conference_id_takes_over_and_the_pin_stays(place: Place) {
    on_each_store(place, |store, _| async move {
        let (anna, pin) = enable(&store, "anna@example.com", None).await;
        let key = key_of(&store, &anna).await;
        let after = store.reset_conference_id(&admin(), &anna.identity, None).await.unwrap();
        let (old, new) = (anna.conference_id.unwrap(), after.conference_id.unwrap());
        assert_ne!(old, new);
        assert_eq!(find(&store, old).await, None);
        assert_eq!(find(&store, new).await.unwrap().key, key, "a running meeting stays the same");
        assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::Right);
        let audit = &store.audit(&AuditPage::newest(1)).await.unwrap()[0];
        assert_eq!(audit.detail, format!("from {old} to {new}"));
    })
    .await;
}

async fn lists_are_in_order_searched_and_paged(place: Place) {
    on_each_store(place, |store, _| async move {
        for name in ["carl@example.com", "anna@example.com", "b_b@example.com", "bxb@example.com"] {
            enable(&store, name, None).await;
        }
        let change = UserChange { name: Some("ÄNNE Test".to_owned()), ..UserChange::default() };
        store.change_user(&admin(), &identity("carl@example.com"), &change).await.unwrap();
        let bxb = store.disable_user(&admin(), &identity("bxb@example.com"), None).await.unwrap();
        let list = async |page: Page| -> Vec<String> {
            let users = store.users(&page).await.unwrap();
            users.iter().map(|user| user.identity.as_str().split('@').next().unwrap().to_owned()).collect()
        };
        let page = Page::default;
        assert_eq!(list(page()).await, ["anna", "b_b", "carl"]);
        assert_eq!(list(Page { disabled: true, ..page() }).await, ["anna", "b_b", "bxb", "carl"]);
        assert_eq!(list(Page { limit: 2, ..page() }).await, ["anna", "b_b"]);
        let after = Page { after: Some("b_b@example.com".to_owned()), limit: 2, ..page() };
        assert_eq!(list(after).await, ["carl"]);
        let search = |text: &str| Page { search: Some(text.to_owned()), disabled: true, ..page() };
        assert_eq!(list(search("änne")).await, ["carl"], "in all alphabets");
        assert_eq!(list(search("ANNA@")).await, ["anna"]);
        assert_eq!(list(search("b_b")).await, ["b_b"], "an underscore means itself");
        assert_eq!(list(search("%")).await, Vec::<String>::new());
        let anna = store.user(&identity("anna@example.com")).await.unwrap();
        assert_eq!(list(search(anna.conference_id.unwrap().as_str())).await, ["anna"]);
        assert!(!bxb.enabled);
        let named = UserChange { name: Some("Anna".to_owned()), ..UserChange::default() };
        store.change_user(&admin(), &anna.identity, &named).await.unwrap();
        let old = anna.conference_id.unwrap();
        assert_eq!(list(search(&old.as_str()[1..6])).await, ["anna"], "the middle of it too");
        let new = store.reset_conference_id(&admin(), &anna.identity, None).await.unwrap().conference_id.unwrap();
        assert_eq!(list(search(new.as_str())).await, ["anna"]);
        assert_eq!(list(search(old.as_str())).await, Vec::<String>::new());
        store.disable_user(&admin(), &anna.identity, None).await.unwrap();
        assert_eq!(list(search(new.as_str())).await, Vec::<String>::new());
        assert_eq!(list(search("anna@example.com anna")).await, ["anna"]);
        enable(&store, "anna@example.com", None).await;
        let again = store.user(&anna.identity).await.unwrap().conference_id.unwrap();
        assert_eq!(list(search(again.as_str())).await, ["anna"]);
        assert_eq!(store.count_users(Some("ANNA"), false).await.unwrap(), 1);
        assert_eq!(store.check().await.unwrap(), []);
    })
    .await;
}

async fn retired_conference_ids_rest_for_ninety_days(place: Place) {
    on_all_rows(place, |rows| async move {
        let user = |name: &str, id: &str| NewUser {
            identity: identity(name),
            name: String::new(),
            email: None,
            conference_id: id.parse().unwrap(),
            pin: NewPin { hash: "$none".to_owned(), digits: 5 },
            allow_anonymous_start: false,
            lobby_policy: LobbyPolicy::Open,
        };
        let audit = |day: u32| AuditEntry {
            at: Timestamp(0).after(day * DAY),
            actor: admin(),
            action: "test".to_owned(),
            subject: String::new(),
            detail: String::new(),
        };
        let enable = async |name: &str, id: &str, day: u32| {
            !matches!(rows.enable(&user(name, id), &audit(day), None).await.unwrap(), Enabling::ConferenceIdTaken)
        };
        assert!(enable("anna", "1000001", 1).await);
        assert!(!enable("bob", "1000001", 1).await, "in use");
        assert!(enable("bob", "1000002", 1).await);
        rows.replace_conference_id(&identity("anna"), "1000003".parse().unwrap(), &audit(1), None).await.unwrap();
        rows.disable(&identity("bob"), &audit(2), None).await.unwrap();
        assert!(!enable("carl", "1000001", 90).await, "given back on the first day");
        assert!(!enable("carl", "1000002", 91).await, "given back on the second");
        let taken = rows.replace_conference_id(&identity("anna"), "1000002".parse().unwrap(), &audit(91), None).await;
        assert!(taken.unwrap().is_none());
        assert!(
            rows.find_conference("1000003".parse().unwrap(), Timestamp(0)).await.unwrap().is_some(),
            "nothing half"
        );
        assert!(enable("carl", "1000001", 91).await);
        // And round again: an ID can be given back twice.
        rows.disable(&identity("carl"), &audit(92), None).await.unwrap();
        assert!(!enable("dora", "1000001", 181).await);
        assert!(enable("dora", "1000001", 182).await);
    })
    .await;
}
