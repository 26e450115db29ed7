"""Running the service: events and alarms, the timetable, the check of the machine."""
