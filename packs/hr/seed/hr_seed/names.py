"""First and last names that are common in each country, most frequent first. Order is that of `holidays.COUNTRIES`."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES: tuple[tuple[str, ...], ...] = (
    _words(
        """
        Anna Lukas Julia Thomas Laura Stefan Lena Jonas Katharina Felix Sophie Michael Marie Paul Sarah Jan Lisa
        Tobias Hannah Maximilian Nina Florian Johanna Sebastian Claudia Andreas Miriam Philipp Greta Matthias
        Franziska Leon Birgit Jürgen Elif Emre Svenja Kai Ines Moritz
        """
    ),
    _words(
        """
        James Emma Oliver Sarah Thomas Olivia Daniel Charlotte Jack Emily George Sophie Harry Grace William Hannah
        Samuel Lucy Joshua Amelia Benjamin Alice Adam Zara Mohammed Priya Callum Freya Owen Isla Rhys Megan Liam
        Eleanor Nathan Imogen Aisha Gareth Fiona Kieran
        """
    ),
    _words(
        """
        Priya Rahul Ananya Arjun Sneha Vikram Kavya Rohan Divya Aditya Pooja Karthik Meera Sanjay Neha Suresh
        Lakshmi Amit Anjali Rajesh Deepa Nikhil Swati Manoj Shruti Vivek Aarav Ishaan Nandini Harish Ritu Varun Asha
        Gaurav Tanvi Mohammed Fatima Joseph Simran Yash
        """
    ),
    _words(
        """
        Michael Emily David Jessica James Ashley Daniel Sarah Christopher Maria Matthew Jennifer Joshua Amanda
        Andrew Nicole Ryan Stephanie Tyler Hannah Kevin Megan Carlos Sofia Jordan Grace Ethan Aaliyah Marcus Linda
        Brandon Mei Jose Olivia Kyle Rachel Anthony Laura Wei Destiny
        """
    ),
    _words(
        """
        Marie Thomas Camille Nicolas Julie Pierre Léa Julien Sophie Antoine Chloé Alexandre Manon Maxime Laura
        Mathieu Claire Hugo Inès Lucas Élodie Guillaume Amélie Romain Nadia Karim Pauline Benoît Margaux Olivier
        Yasmine Théo Anaïs Gabriel Céline Vincent Fatou Rémi Louise Adrien
        """
    ),
    _words(
        """
        María Carlos Laura Javier Carmen David Ana Alejandro Marta Daniel Lucía Pablo Cristina Sergio Elena Miguel
        Paula Álvaro Sara Jorge Raquel Adrián Sofía Diego Irene Manuel Isabel Rubén Nuria Iván Alba Óscar Pilar Hugo
        Beatriz Andrés Julia Mario Rocío Gonzalo
        """
    ),
)

LAST_NAMES: tuple[tuple[str, ...], ...] = (
    _words(
        """
        Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer Richter Klein Wolf
        Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Werner Krause Lehmann Köhler Maier
        Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß Jung Hahn Vogel Keller Günther Berger Winkler Roth Beck
        Lorenz Yılmaz Kaya Nowak
        """
    ),
    _words(
        """
        Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Robinson Wright Thompson Evans Walker White
        Roberts Green Hall Wood Jackson Clarke Khan Harris Clark Turner Hill Moore Cooper Ward Morris Hughes Edwards
        Baker Campbell Murphy Kelly Stewart Reid MacDonald Ahmed Begum Bennett Fletcher Shaw Ellis Foster Marsh
        Pearce Osborne Sutton
        """
    ),
    _words(
        """
        Sharma Kumar Singh Patel Reddy Gupta Nair Rao Iyer Mehta Shah Verma Joshi Das Menon Kulkarni Desai Pillai
        Mishra Chatterjee Banerjee Bose Agarwal Malhotra Kapoor Chopra Naidu Gowda Hegde Shetty Bhat Krishnan
        Subramanian Thomas Fernandes Khan Ansari Kaur Gill Sinha Tiwari Pandey Saxena Jain Bhatt Trivedi Rajan
        Prasad Murthy Chandra
        """
    ),
    _words(
        """
        Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Wilson Anderson
        Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson
        Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell
        Mitchell Carter Chen Patel
        """
    ),
    _words(
        """
        Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Simon Laurent Lefebvre Michel Garcia
        David Bertrand Roux Vincent Fournier Morel Girard André Mercier Dupont Lambert Bonnet François Martinez
        Legrand Garnier Faure Rousseau Blanc Guérin Muller Henry Roussel Nicolas Perrin Morin Mathieu Clément
        Gauthier Dumont Lopez Fontaine Chevalier Benali Diallo
        """
    ),
    _words(
        """
        García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Ruiz Hernández Díaz
        Moreno Muñoz Álvarez Romero Alonso Gutiérrez Navarro Torres Domínguez Vázquez Ramos Gil Ramírez Serrano
        Blanco Molina Morales Suárez Ortega Delgado Castro Ortiz Rubio Marín Sanz Núñez Iglesias Medina Garrido
        Cortés Castillo Santos Lozano Guerrero Cano Prieto
        """
    ),
)
