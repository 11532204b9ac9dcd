# Another who knows the PIN comes within the grace time: the meeting goes on.
leader leaves: ends after 6 s
0.0 anna dials
0.5 anna talks
1.0 anna enters 1234567#
3.0 anna enters *86420#
6.0 ben dials
6.5 ben talks
7.0 ben enters 1234567#
10.0 anna leaves
10.5 dora dials
11.0 dora talks
11.5 dora enters 1234567#
13.5 dora enters *86420#
20.0 dora leaves
28.0 ben leaves
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
    10.000  anna: HangUp
    10.020  ben hears a fade
    10.040  ben hears Silence
    10.500  dora: Dial
    10.560  dora hears Prompt(Welcome)
    10.740  dora hears Prompt(EnterConferenceId)
    10.940  dora hears Silence
    11.000  dora: Talk
    12.738  dora EnteredMeeting { meeting: meeting-1, leader: false }
    12.740  dora hears ben
    12.860  ben hears dora
    12.920  ben hears a fade
    12.940  ben hears Silence
    13.060  ben hears dora
    13.520  ben hears a fade
    13.540  ben hears Silence
    13.660  ben hears dora
    13.720  ben hears a fade
    13.740  ben hears Silence
    13.860  ben hears dora
    13.920  ben hears a fade
    13.940  ben hears Silence
    14.060  ben hears dora
    14.120  ben hears a fade
    14.140  ben hears Silence
    14.260  ben hears dora
    14.320  ben hears a fade
    14.340  ben hears Silence
    14.460  ben hears dora
    14.520  ben hears a fade
    14.540  ben hears Silence
    14.660  ben hears dora
    14.720  ben hears a fade
    14.740  ben hears Silence
    14.860  ben hears dora
    16.010  meeting-1 Ended { why: LeaderLeft }
    16.010  meeting-1 Closed
    16.040  dora hears Prompt(MeetingEnded)
    16.040  ben hears Prompt(MeetingEnded)
    16.220  dora hears Prompt(Goodbye)
    16.220  ben hears Prompt(Goodbye)
    16.420  dora hears Silence
    16.420  ben hears Silence
    16.420  dora HangingUp { why: MeetingEnded(LeaderLeft) }
    16.420  ben HangingUp { why: MeetingEnded(LeaderLeft) }
    20.000  dora: HangUp
    28.000  ben: HangUp
