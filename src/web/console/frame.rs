//! What every page has around it: the menu of what this role may see, who is signed in, and what the last operation said.

use super::assets;
use super::flash::{Flash, Shown};
use super::words;
use crate::web::auth::Role;

/// A page of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Home,
    Live,
    Users,
    Meetings,
    Numbers,
    Calls,
    Alerts,
    Audit,
    Outbox,
    Settings,
    Accounts,
    Me,
}

impl Place {
    pub fn path(self) -> &'static str {
        match self {
            Place::Home => "/",
            Place::Live => "/live",
            Place::Users => "/users",
            Place::Meetings => "/meetings",
            Place::Numbers => "/numbers",
            Place::Calls => "/calls",
            Place::Alerts => "/alerts",
            Place::Audit => "/audit",
            Place::Outbox => "/outbox",
            Place::Settings => "/settings",
            Place::Accounts => "/accounts",
            Place::Me => "/me",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Place::Home => "Overview",
            Place::Live => "Live",
            Place::Users => "Users",
            Place::Meetings => "Meetings",
            Place::Numbers => "Numbers",
            Place::Calls => "Calls",
            Place::Alerts => "Alerts",
            Place::Audit => "Audit",
            Place::Outbox => "Mail outbox",
            Place::Settings => "Settings",
            Place::Accounts => "Sign-ins",
            Place::Me => "My conference",
        }
    }

    pub fn icon(self) -> &'static str {
        match self {
            Place::Home => "home",
            Place::Live => "live",
            Place::Users => "users",
            Place::Meetings => "meetings",
            Place::Numbers => "numbers",
            Place::Calls => "calls",
            Place::Alerts => "alerts",
            Place::Audit => "audit",
            Place::Outbox => "outbox",
            Place::Settings => "settings",
            Place::Accounts => "accounts",
            Place::Me => "me",
        }
    }

    pub fn is_alerts(self) -> bool {
        self == Place::Alerts
    }
}

/// Entries of the menu that belong together.
pub struct Group {
    pub name: &'static str,
    pub places: &'static [Place],
}

const ADMINISTRATORS: &[Group] = &[
    Group { name: "", places: &[Place::Home, Place::Live] },
    Group { name: "People and meetings", places: &[Place::Users, Place::Meetings, Place::Numbers] },
    Group { name: "What happened", places: &[Place::Calls, Place::Alerts, Place::Audit, Place::Outbox] },
    Group { name: "Organization", places: &[Place::Settings, Place::Accounts] },
];

const OPERATORS: &[Group] = &[
    Group { name: "", places: &[Place::Home, Place::Live] },
    Group { name: "People and meetings", places: &[Place::Users, Place::Meetings, Place::Numbers] },
    Group { name: "What happened", places: &[Place::Calls, Place::Alerts, Place::Audit, Place::Outbox] },
];

const USERS: &[Group] = &[Group { name: "", places: &[Place::Me] }];

/// The frame of one page.
pub struct Frame {
    pub place: Place,
    pub who: String,
    pub role: Role,
    pub csrf: String,
    pub flashes: Vec<Flash>,
    pub shown: Option<Shown>,
    pub open_alerts: u64,
}

impl Frame {
    pub fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    pub fn menu(&self) -> &'static [Group] {
        match self.role {
            Role::Administrator => ADMINISTRATORS,
            Role::Operator => OPERATORS,
            Role::User => USERS,
        }
    }

    pub fn role_name(&self) -> &'static str {
        words::role(self.role.name())
    }

    pub fn administers(&self) -> bool {
        self.role == Role::Administrator
    }

    pub fn operates(&self) -> bool {
        matches!(self.role, Role::Administrator | Role::Operator)
    }
}
