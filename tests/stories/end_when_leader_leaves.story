# It ends for all when the leader does not come back in time.
leader leaves: ends after 3 s
0.0 anna dials
0.5 anna talks
1.0 anna enters 1234567#
3.0 anna enters *86420#
6.0 ben dials
6.5 ben talks
7.0 ben enters 1234567#
12.0 anna leaves
18.0 cara dials
19.0 cara enters 1234567#
27.0 cara leaves
---
     0.000  anna: Dial
     0.060  anna hears Prompt(Welcome)
     0.240  anna hears Prompt(EnterConferenceId)
     0.440  anna hears Silence
     0.500  anna: Talk
     2.246  meeting-1 Opened { conference_id: 1234567, organizer: "organizer0@example.com" }
     2.246  anna OrganizerAsked
     2.280  anna hears Prompt(OrganizerQuestion)
     2.460  anna hears Silence
     3.020  anna PinAsked
     3.060  anna hears Prompt(EnterPin)
     3.240  anna hears Silence
     4.257  anna PinRight
     4.257  meeting-1 Started { by: LeaderPin, admitted: 1 }
     4.257  anna EnteredMeeting { meeting: meeting-1, leader: true }
     6.000  ben: Dial
     6.060  ben hears Prompt(Welcome)
     6.240  ben hears Prompt(EnterConferenceId)
     6.440  ben hears Silence
     6.500  ben: Talk
     8.235  ben EnteredMeeting { meeting: meeting-1, leader: false }
     8.240  ben hears anna
     8.360  anna hears ben
     8.420  anna hears a fade
     8.440  anna hears Silence
     8.560  anna hears ben
    12.000  anna: HangUp
    12.020  ben hears a fade
    12.040  ben hears Silence
    15.010  meeting-1 Ended { why: LeaderLeft }
    15.010  meeting-1 Closed
    15.040  ben hears Prompt(MeetingEnded)
    15.220  ben hears Prompt(Goodbye)
    15.420  ben hears Silence
    15.420  ben HangingUp { why: MeetingEnded(LeaderLeft) }
    18.000  cara: Dial
    18.060  cara hears Prompt(Welcome)
    18.240  cara hears Prompt(EnterConferenceId)
    18.440  cara hears Silence
    20.225  meeting-2 Opened { conference_id: 1234567, organizer: "organizer0@example.com" }
    20.225  cara OrganizerAsked
    20.260  cara hears Prompt(OrganizerQuestion)
    20.440  cara hears Silence
    25.440  cara WaitsForStart { meeting: meeting-2 }
    25.460  cara hears Prompt(PleaseWaitForOrganizer)
    25.660  cara hears Music
    27.000  cara: HangUp
    27.010  meeting-2 Closed
