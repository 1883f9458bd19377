//! Who somebody is: people, staff, machines, their credentials, sessions and profiles.
