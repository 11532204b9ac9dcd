# The organizer starts it from his console, without a telephone.
0.0 ben dials
0.5 ben talks
1.0 ben enters 1234567#
4.0 cara dials
4.5 cara talks
5.0 cara enters 1234567#
14.0 ben starts
18.0 ben ends
---
     0.000  ben: Dial
     0.060  ben hears Prompt(Welcome)
     0.240  ben hears Prompt(EnterConferenceId)
     0.440  ben hears Silence
     0.500  ben: Talk
     2.246  meeting-1 Opened { conference_id: 1234567, organizer: "organizer0@example.com" }
     2.246  ben OrganizerAsked
     2.280  ben hears Prompt(OrganizerQuestion)
     2.460  ben hears Silence
     4.000  cara: Dial
     4.060  cara hears Prompt(Welcome)
     4.240  cara hears Prompt(EnterConferenceId)
     4.440  cara hears Silence
     4.500  cara: Talk
     6.222  cara OrganizerAsked
     6.260  cara hears Prompt(OrganizerQuestion)
     6.440  cara hears Silence
     7.460  ben WaitsForStart { meeting: meeting-1 }
     7.480  ben hears Prompt(PleaseWaitForOrganizer)
     7.680  ben hears Music
    11.440  cara WaitsForStart { meeting: meeting-1 }
    11.460  cara hears Prompt(PleaseWaitForOrganizer)
    11.660  cara hears Music
    14.000  ben: Start { conference: 0 }
    14.000  console: start conference 1234567 for organizer0@example.com: Ok(LiveDone { meeting: Some(meeting-1), calls: 2, already: false })
    14.000  meeting-1 Started { by: AuthenticatedUser, admitted: 2 }
    14.000  ben EnteredMeeting { meeting: meeting-1, leader: false }
    14.000  cara EnteredMeeting { meeting: meeting-1, leader: false }
    14.000  ben hears cara
    14.000  cara hears a fade
    14.020  cara hears ben
    18.000  ben: End { conference: 0 }
    18.000  console: end meeting-1: Ok(LiveDone { meeting: Some(meeting-1), calls: 2, already: false })
    18.000  meeting-1 Ended { why: Ended }
    18.000  meeting-1 Closed
    18.020  ben hears Prompt(MeetingEnded)
    18.020  cara hears Prompt(MeetingEnded)
    18.200  ben hears Prompt(Goodbye)
    18.200  cara hears Prompt(Goodbye)
    18.400  ben hears Silence
    18.400  cara hears Silence
    18.400  ben HangingUp { why: MeetingEnded(Ended) }
    18.400  cara HangingUp { why: MeetingEnded(Ended) }
